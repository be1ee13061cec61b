/* Copies and memsets.
 *
 * Small ones are real, so labels, shapes and counters keep their values. Larger writes to the card
 * are left out: nothing computes with them, and an 80 GB card must fit in a small machine. Reads
 * from the card are always real, but for the counts below; memory that nobody wrote reads as zeros.
 */
#include "values/copies.h"
#include "base/card.h"
#include "base/counters.h"
#include "memory/arena.h"
#include "values/known.h"
#include "values/read_back.h"
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

bool nc_carried_out(const void *destination, size_t bytes) {
    const nc_card *card = nc_card_get();
    if (!nc_is_device(destination) || !card || bytes <= card->copy_limit_bytes) return true;
    nc_count(NC_COPIES_SKIPPED);
    nc_known_lose_range(destination, bytes);
    return false;
}

/* PyTorch reads counts for itself (nonzero, masks, unique) where nobody can say of what type the memory is: an
 * integer of four or eight bytes. What was told of it (read_back.c) stands before everything; a count that nobody
 * told and no kernel computed is one, never what an earlier tensor left. */
static const void *source(const void *from, size_t bytes) {
    static const int64_t ONE = 1; /* little endian, as the host */
    if (!nc_is_device(from)) return from;
    const void *told = nc_read_back_take(bytes);
    if (told) return told;
    if ((bytes != 4 && bytes != 8) || nc_known_all(from, bytes)) return from;
    nc_count(NC_SIZES_MADE_UP);
    return &ONE;
}

enum { PIECE = 2 << 20, SMALLEST_PAGE = 4096 };

/* Whether any page from here on was ever written. Read from the kernel (`map`: Documentation/admin-guide/mm/pagemap):
 * what a program wrote long ago and a kernel has written over since is still there, and is copied as ever. */
static bool written(int map, const char *from, size_t bytes, size_t page) {
    uint64_t entries[PIECE / SMALLEST_PAGE + 1];
    size_t first = (uintptr_t)from / page, count = ((uintptr_t)from + bytes - 1) / page - first + 1;
    ssize_t size = (ssize_t)(count * sizeof *entries);
    if (pread(map, entries, (size_t)size, (off_t)(first * sizeof *entries)) != size) return true;
    for (size_t i = 0; i < count; i++)
        if (entries[i] >> 62) return true; /* it is present, or swapped out */
    return false;
}

/* Memory that nobody wrote reads as zeros, and so does page-locked memory whose pages are given back: 8 GiB that
 * Inductor puts aside while it tries a kernel, or gradients that are offloaded, take nothing of the host. */
static void copy_out(char *to, const char *from, size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), step;
    int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC); /* of this process: not kept, it may fork */
    for (; bytes; to += step, from += step, bytes -= step) {
        size_t beside = -(uintptr_t)to & (page - 1);
        step = bytes < PIECE ? bytes : PIECE;
        if (beside && beside < step) step = beside;
        bool whole = !beside && step >= page;
        if (whole) step -= step % page;
        if (!whole || map < 0 || written(map, from, step, page) || madvise(to, step, MADV_DONTNEED))
            memmove(to, from, step);
    }
    if (map >= 0) close(map);
}

static bool leaves_card(const void *to, const void *from, size_t bytes) {
    const nc_card *card = nc_card_get();
    return card && bytes > card->copy_limit_bytes && nc_arena_of(to) == NC_PINNED
           && nc_arena_of(from) == NC_DEVICE;
}

void nc_copy(void *to, const void *from, size_t bytes) {
    if (!bytes || !nc_carried_out(to, bytes)) return;
    if (!nc_is_device(to)) from = source(from, bytes);
    if (leaves_card(to, from, bytes)) copy_out(to, from, bytes);
    else memmove(to, from, bytes);
    nc_known_copy(to, from, bytes);
}
