/* The parameters of a launch.
 *
 * A launch passes pointers to the parameters, neither their number nor their sizes. Structures are larger than
 * what a launch fills in, and the rest is what earlier launches left.
 */
#include "values/parameters.h"
#include "memory/arena.h"

/* The caller's frames are read beyond the variable that a parameter is: on purpose, so AddressSanitizer looks away. */
#define UNCHECKED __attribute__((no_sanitize("address")))
typedef uint64_t word __attribute__((aligned(1), may_alias));

UNCHECKED static uint64_t bits_at(const char *at) { return *(const word *)at; }

void *nc_pointer_at(const char *at) { return (void *)(uintptr_t)bits_at(at); }

void *nc_address_at(const char *at) {
    void *address = nc_pointer_at(at);
    return nc_arena_offset(address) == SIZE_MAX ? NULL : address;
}

/* A parameter ends before the next one above it. */
nc_bytes nc_parameter(const nc_writes *w, void **arguments, int index, size_t most, char *room) {
    uintptr_t at = (uintptr_t)arguments[index], end = at + most;
    for (int i = 0; i < w->count; i++)
        if ((uintptr_t)arguments[i] > at && (uintptr_t)arguments[i] < end) end = (uintptr_t)arguments[i];
    return nc_readable((void *)at, end - at, room);
}

void nc_each_in(nc_bytes in, int most, void (*act)(const void *)) {
    for (size_t at = 0; at + sizeof(void *) <= in.bytes && most; at += sizeof(void *)) {
        void *address = nc_address_at(in.at + at);
        if (!address) continue;
        act(address);
        most--;
    }
}

/* ReduceOp ends with src, dst[2], acc_buf, cta_buf, semaphores, base_idx, accumulate, final_output, noutputs. Before
 * them stand the operation (up to some words), 60 bytes of configuration and OffsetCalculators of 404 and 504 bytes,
 * filled as far as needed; the rest of these is whatever was on the stack, the end of an earlier ReduceOp too. */
enum { CALCULATORS = 404 + 504 + 52, OPERATION = 192 };
const char *nc_source_in(nc_bytes in) {
    size_t bytes = in.bytes < CALCULATORS + OPERATION ? in.bytes : CALCULATORS + OPERATION;
    for (size_t at = CALCULATORS; at + 64 <= bytes; at += 8) {
        const char *w = in.at + at;
        bool fits = nc_address_at(w) && nc_address_at(w + 8);
        for (int i = 3; i < 6; i++) fits = fits && (!bits_at(w + 8 * i) || nc_address_at(w + 8 * i));
        uint64_t flags = bits_at(w + 56), outputs = flags >> 32;
        fits = fits && bits_at(w + 48) >> 40 == 0 && (flags & 0xfefe) == 0 && (outputs == 1 || outputs == 2);
        if (fits) return w;
    }
    return NULL;
}

/* The closure of elementwise_kernel: OffsetCalculator<K> (a number, 25 dividers of 12 bytes, 25 x K strides), then
 * array<char*, K>. K is not in the name: the one that fits, if it is the only one. */
const char *nc_output_in(nc_bytes in) {
    const char *found = NULL;
    for (size_t k = 1; k <= 5; k++) {
        size_t at = (4 + 300 + 100 * k + 7) / 8 * 8;
        bool fits = at + 8 * k <= in.bytes;
        for (size_t i = 0; fits && i < k; i++) fits = nc_address_at(in.at + at + 8 * i);
        if (fits && found) return NULL;
        if (fits) found = in.at + at;
    }
    return found;
}
