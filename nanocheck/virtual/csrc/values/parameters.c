/* The memory of a launch's parameters.
 *
 * A launch passes pointers to the parameters, neither their number nor their sizes. Structures are larger than
 * what a launch fills in, and the rest is what earlier launches left.
 */
#include "values/parameters.h"
#include "memory/arena.h"
#include <string.h>

enum { PAGE = 4096 };

/* How far a structure may be read: to the next parameter above it, and never into the next page. */
size_t nc_reach(const nc_writes *w, void **arguments, int index, size_t most) {
    uintptr_t at = (uintptr_t)arguments[index], end = at + most;
    for (int i = 0; i < w->count; i++)
        if ((uintptr_t)arguments[i] > at && (uintptr_t)arguments[i] < end) end = (uintptr_t)arguments[i];
    uintptr_t mine = (uintptr_t)&at; /* parameters lie on the caller's stack, all of it above ours */
    bool stack = at > mine && at - mine < (uintptr_t)1 << 16;
    uintptr_t page = (at | (PAGE - 1)) + 1;
    if (!stack && end > page) end = page;
    return end - at;
}

void *nc_word_at(const char *at) {
    void *word;
    memcpy(&word, at, sizeof word);
    return nc_arena_offset(word) == SIZE_MAX ? NULL : word;
}

void nc_each_in(const char *from, size_t bytes, int most, void (*act)(const void *)) {
    for (size_t at = (8 - (uintptr_t)from % 8) % 8; at + sizeof(void *) <= bytes && most;
         at += sizeof(void *)) {
        void *word = nc_word_at(from + at);
        if (!word) continue;
        act(word);
        most--;
    }
}

static uint64_t bits_at(const char *at) {
    uint64_t bits;
    memcpy(&bits, at, sizeof bits);
    return bits;
}

/* ReduceOp ends with src, dst[2], acc_buf, cta_buf, semaphores, base_idx, accumulate, final_output, noutputs. Before
 * them stand the operation (up to some words), 60 bytes of configuration and OffsetCalculators of 404 and 504 bytes,
 * filled as far as needed; the rest of these is whatever was on the stack, the end of an earlier ReduceOp too. */
enum { CALCULATORS = 404 + 504 + 52, OPERATION = 192 };
const char *nc_source_in(const char *from, size_t bytes) {
    if (bytes > CALCULATORS + OPERATION) bytes = CALCULATORS + OPERATION;
    for (size_t at = CALCULATORS + (8 - (uintptr_t)from % 8) % 8; at + 64 <= bytes; at += 8) {
        const char *w = from + at;
        bool fits = nc_word_at(w) && nc_word_at(w + 8);
        for (int i = 3; i < 6; i++) fits = fits && (!bits_at(w + 8 * i) || nc_word_at(w + 8 * i));
        uint64_t flags = bits_at(w + 56), outputs = flags >> 32;
        fits = fits && bits_at(w + 48) >> 40 == 0 && (flags & 0xfefe) == 0 && (outputs == 1 || outputs == 2);
        if (fits) return w;
    }
    return NULL;
}

/* The closure of elementwise_kernel: OffsetCalculator<K> (a number, 25 dividers of 12 bytes, 25 x K strides), then
 * array<char*, K>. K is not in the name: the one that fits, if it is the only one. */
const char *nc_output_in(const char *from, size_t bytes) {
    const char *found = NULL;
    for (size_t k = 1; k <= 5; k++) {
        size_t at = (4 + 300 + 100 * k + 7) / 8 * 8;
        bool fits = at + 8 * k <= bytes && (uintptr_t)from % 8 == 0;
        for (size_t i = 0; fits && i < k; i++) fits = nc_word_at(from + at + 8 * i);
        if (fits && found) return NULL;
        if (fits) found = from + at;
    }
    return found;
}
