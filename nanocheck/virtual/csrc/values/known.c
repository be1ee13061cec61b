/* Which bytes of the card are known: written by the program, and by no kernel since.
 *
 * One number per 512 bytes (the unit of PyTorch's allocator, so no two tensors share one): how many
 * bytes from the unit's start are known. A kernel that is handed an address makes unknown what
 * follows it in that unit only; its length is nobody's to know. That is enough, because a reader asks
 * for everything from the start of its tensor's storage: one unknown unit on the way, and what lies
 * behind it does not count. What an earlier tensor left at the same place is hidden in the same way.
 * It is not enough where the program then writes that unit anew, and only that: the units behind it, which the
 * kernel may have written, count as known again. Copies and memsets have a length, and all of it is lost.
 *
 * A wrong "unknown" reads as one, a wrong "known" as what an earlier tensor left; so doubt is unknown.
 * Known memory of two kinds is kept apart: answers of predicates (predicates.c), which no program wrote.
 */
#include "values/known.h"
#include "base/locks.h"
#include "base/report.h"
#include "memory/arena.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TABLE_BYTES (NC_ARENA_SPAN / UNIT * sizeof(uint16_t))
enum {
    UNIT = 512,
    LENGTH = 0x3ff,
    FOLLOWS = 0x2000,
    KEPT = 0x4000,
    GUESSED = 0x8000,
    ORIGIN = FOLLOWS | GUESSED
};

static uint16_t *units; /* for the whole device arena; touched only where something is known or launched on */

/* Threads share units (two views of one tensor, the autograd thread and the main one). A unit is read and changed
 * in one piece, so that what one thread loses does not come back with what another one writes. */
static uint16_t read_unit(const uint16_t *unit) { return __atomic_load_n(unit, __ATOMIC_RELAXED); }
/* False: somebody was faster, and `old` is what stands there. */
static bool replace(uint16_t *unit, uint16_t *old, size_t now) {
    return __atomic_compare_exchange_n(unit, old, (uint16_t)now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static uint16_t *open_table(void) {
    nc_lock(NC_LOCK_KNOWN);
    if (!units) {
        void *table = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (table == MAP_FAILED)
            nc_fatal("cannot reserve %zu GiB of addresses (%s); is `ulimit -v` set?", TABLE_BYTES >> 30,
                     strerror(errno));
        madvise(table, TABLE_BYTES, MADV_NOHUGEPAGE); /* few units are ever touched, far apart */
        __atomic_store_n(&units, table, __ATOMIC_RELEASE);
    }
    nc_unlock(NC_LOCK_KNOWN);
    return units;
}

static uint16_t *unit_of(const void *address) { /* NULL outside the card */
    size_t offset = nc_arena_offset(address);
    if (offset == SIZE_MAX) return NULL;
    uint16_t *table = __atomic_load_n(&units, __ATOMIC_ACQUIRE);
    return &(table ? table : open_table())[offset / UNIT];
}

static size_t within(const void *address) { return (uintptr_t)address % UNIT; }

/* Bytes `from` to `last` of this unit are written. A gap before them stays unknown, and so do they. */
static void set_unit(uint16_t *unit, size_t from, size_t last, uint16_t mark) {
    uint16_t old = read_unit(unit);
    size_t now;
    do {
        size_t before = old & LENGTH;
        if (from > before) return;
        bool whole = from == 0 && last >= before;
        now = (last > before ? last : before) | mark | (whole ? 0 : old & (ORIGIN | KEPT));
    } while (!replace(unit, &old, now));
}

static uint16_t mark_of(nc_origin origin) {
    return origin == NC_GUESSED ? GUESSED : origin == NC_FOLLOWS ? FOLLOWS : 0;
}

void nc_known_set(const void *to, size_t bytes, nc_origin origin) {
    uint16_t *unit = bytes ? unit_of(to) : NULL;
    if (!unit) return;
    for (size_t from = within(to), end = from + bytes;; unit++, from = 0, end -= UNIT) {
        set_unit(unit, from, end < UNIT ? end : UNIT, mark_of(origin));
        if (end <= UNIT) return;
    }
}

static void lose_unit(uint16_t *unit, size_t from, uint16_t unless) {
    uint16_t old = read_unit(unit);
    while ((old & LENGTH) > from && !(old & unless))
        if (replace(unit, &old, from | (old & ORIGIN))) return;
}

static void lose(const void *at, uint16_t unless) {
    uint16_t *unit = unit_of(at);
    if (unit) lose_unit(unit, within(at), unless);
}
void nc_known_lose(const void *at) { lose(at, 0); }
void nc_known_doubt(const void *at) { lose(at, KEPT); }

/* Of four units, if they are one word: most of what is lost, as 300,000 units of a gradient, was not known. */
static bool none_of_four(const uint16_t *unit) {
    typedef uint64_t word __attribute__((may_alias));
    if ((uintptr_t)unit % sizeof(word)) return false;
    return !(__atomic_load_n((const word *)(const void *)unit, __ATOMIC_RELAXED) & LENGTH * 0x1000100010001);
}

void nc_known_lose_range(const void *at, size_t bytes) {
    uint16_t *unit = bytes ? unit_of(at) : NULL;
    if (!unit) return;
    size_t most = NC_ARENA_SPAN - nc_arena_offset(at);
    if (bytes > most) bytes = most;
    for (size_t from = within(at), end = from + bytes;; unit++, from = 0, end -= UNIT) {
        for (; end > 4 * UNIT && none_of_four(unit); unit += 4, end -= 4 * UNIT) from = 0;
        lose_unit(unit, from, 0);
        if (end <= UNIT) return;
    }
}

void nc_known_lose_all(void) {
    uint16_t *table = __atomic_load_n(&units, __ATOMIC_ACQUIRE);
    if (table) madvise(table, TABLE_BYTES, MADV_DONTNEED);
}

static void keep_unit(uint16_t *unit) {
    uint16_t old = read_unit(unit);
    while (old & LENGTH)
        if (replace(unit, &old, old | KEPT)) return;
}

void nc_known_keep(const void *at) {
    uint16_t *unit = unit_of(at);
    if (unit) keep_unit(unit);
}

void nc_known_keep_range(const void *at, size_t bytes) {
    uint16_t *unit = bytes ? unit_of(at) : NULL;
    if (!unit) return;
    for (size_t end = within(at) + bytes;; unit++, end -= UNIT) {
        keep_unit(unit);
        if (end <= UNIT) return;
    }
}

bool nc_known_all(const void *at, size_t bytes) {
    const uint16_t *unit = bytes ? unit_of(at) : NULL;
    if (!unit) return true;
    for (size_t end = within(at) + bytes;; unit++, end -= UNIT) {
        if ((read_unit(unit) & LENGTH) < (end < UNIT ? end : UNIT)) return false;
        if (end <= UNIT) return true;
    }
}

size_t nc_known_prefix(const void *at, size_t bytes) {
    const uint16_t *unit = bytes ? unit_of(at) : NULL;
    if (!unit) return bytes;
    for (size_t from = within(at), known = 0;; unit++, from = 0) {
        size_t length = read_unit(unit) & LENGTH;
        known += length > from ? length - from : 0;
        if (length < UNIT || known >= bytes) return known < bytes ? known : bytes;
    }
}

nc_origin nc_known_origin(const void *at) {
    const uint16_t *unit = unit_of(at);
    uint16_t mark = unit ? read_unit(unit) : 0;
    return mark & GUESSED ? NC_GUESSED : mark & FOLLOWS ? NC_FOLLOWS : NC_WRITTEN;
}

void nc_known_copy(const void *to, const void *from, size_t bytes) {
    if (nc_arena_offset(to) == SIZE_MAX) return;
    if (nc_known_all(from, bytes)) nc_known_set(to, bytes, nc_known_origin(from));
    else nc_known_lose_range(to, bytes);
}

static void clear(uint16_t *unit, const uint16_t *end) {
    while (unit < end) __atomic_store_n(unit++, 0, __ATOMIC_RELAXED);
}

/* Whole pages go back. A granule's units are 8 KiB, less than a page where pages have 64 KiB (some ARM machines):
 * what lies beside whole pages is written. */
void nc_known_drop(const void *at, size_t bytes) {
    uint16_t *unit = unit_of(at);
    if (!unit) return;
    uint16_t *end = unit + bytes / UNIT;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uint16_t *first = (uint16_t *)(((uintptr_t)unit + page - 1) / page * page);
    uint16_t *last = (uint16_t *)((uintptr_t)end / page * page);
    if (first >= last) {
        clear(unit, end);
        return;
    }
    clear(unit, first);
    madvise(first, (size_t)((char *)last - (char *)first), MADV_DONTNEED);
    clear(last, end);
}
