/* Address ranges: one reservation per kind of memory, cut into 2 MiB granules, committed on touch.
 * Where a range lies: places.c. Nothing is backed by memory until somebody writes to it.
 *
 * A granule's word is 0 where nothing lies; where a range begins, its length and kind; behind that, how far back it
 * begins. A range that is being given back keeps its addresses until its owner has emptied them.
 */
#include "memory/arena.h"
#include "base/locks.h"
#include "base/report.h"
#include "memory/places.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define SPAN NC_ARENA_SPAN
#define RESERVED ((uint32_t)1 << 31)
#define LEAVING ((uint32_t)1 << 30)
#define INSIDE ((uint32_t)1 << 29)
#define NUMBER (INSIDE - 1)
static const uint32_t MARK[] = {[NC_ALLOCATION] = 0, [NC_RESERVATION] = RESERVED};

static nc_places arenas[NC_ARENAS];

static void open_arena(nc_arena which) {
    size_t table = SPAN / NC_GRANULE * sizeof(uint32_t);
    char *base = mmap(NULL, SPAN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint32_t *words =
        mmap(NULL, table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED || words == MAP_FAILED)
        nc_fatal("cannot reserve %zu GiB of addresses (%s); is `ulimit -v` set?", SPAN >> 30,
                 strerror(errno));
    arenas[which].words = words;
    /* Begin where the lower half of an address is no small number: one that stands beside what an address
     * left in a kernel's parameters (values/parameters.c) would look like another address. */
    uintptr_t begin = ((((uintptr_t)base >> 32) + 1) << 32) + ((uintptr_t)1 << 31);
    uintptr_t end = ((uintptr_t)base + SPAN) >> 32 << 32;
    arenas[which].first = arenas[which].next = arenas[which].again = (begin - (uintptr_t)base) / NC_GRANULE;
    arenas[which].lowest = arenas[which].end = (end - (uintptr_t)base) / NC_GRANULE;
    __atomic_store_n(&arenas[which].base, base, __ATOMIC_RELEASE);
}

char *nc_arena_take(nc_arena which, nc_range kind, size_t bytes) {
    nc_places *a = &arenas[which];
    size_t granules = nc_round(bytes) / NC_GRANULE;
    if (!bytes || bytes > SPAN - NC_GRANULE) return NULL;
    nc_lock(NC_LOCK_ARENA);
    if (!a->base) open_arena(which);
    size_t at = nc_place(a, kind, granules);
    bool fits = at < NC_GRANULES_END;
    for (size_t i = granules; fits && i-- > 0;)
        nc_set_word(a, at + i, i ? INSIDE | (uint32_t)i : (uint32_t)granules | MARK[kind]);
    nc_unlock(NC_LOCK_ARENA);
    if (!fits) return NULL;
    char *address = a->base + at * NC_GRANULE;
    if (kind == NC_RESERVATION || nc_arena_commit(address, granules * NC_GRANULE)) return address;
    nc_arena_remove(which, kind, address);
    nc_arena_forget(which, address);
    return NULL;
}

bool nc_arena_commit(char *address, size_t bytes) {
    return mprotect(address, bytes, PROT_READ | PROT_WRITE) == 0;
}

void nc_arena_decommit(char *address, size_t bytes) {
    madvise(address, bytes, MADV_DONTNEED);
    mprotect(address, bytes, PROT_NONE);
}

int nc_arena_of(const void *address) {
    for (int i = 0; i < NC_ARENAS; i++) {
        const char *base = __atomic_load_n(&arenas[i].base, __ATOMIC_ACQUIRE);
        if (base && (const char *)address >= base && (const char *)address < base + SPAN) return i;
    }
    return -1;
}

size_t nc_arena_offset(const void *address) {
    const char *base = __atomic_load_n(&arenas[NC_DEVICE].base, __ATOMIC_ACQUIRE);
    size_t offset = (size_t)((const char *)address - base);
    const nc_places *a = &arenas[NC_DEVICE];
    size_t lowest = __atomic_load_n(&a->lowest, __ATOMIC_RELAXED), at = offset / NC_GRANULE;
    size_t next = __atomic_load_n(&a->next, __ATOMIC_RELAXED);
    bool used = (at >= lowest && at < a->end) || (at >= a->first && at < next);
    return base && used ? offset : SIZE_MAX;
}

static uint32_t *word_of(nc_arena which, const void *head) { /* NULL: no start of a granule */
    if (nc_arena_of(head) != (int)which) return NULL;
    size_t offset = (size_t)((const char *)head - arenas[which].base);
    return offset % NC_GRANULE ? NULL : &arenas[which].words[offset / NC_GRANULE];
}

static size_t size_of(uint32_t word, nc_range kind) {
    if (word & (INSIDE | LEAVING) || (word & RESERVED) != MARK[kind]) return 0;
    return (size_t)(word & NUMBER) * NC_GRANULE;
}

size_t nc_arena_size(nc_arena which, nc_range kind, const void *head) {
    const uint32_t *word = word_of(which, head);
    return word ? size_of(__atomic_load_n(word, __ATOMIC_ACQUIRE), kind) : 0;
}

size_t nc_arena_remove(nc_arena which, nc_range kind, const void *head) {
    uint32_t *word = word_of(which, head);
    uint32_t found = word ? __atomic_load_n(word, __ATOMIC_ACQUIRE) : 0;
    size_t bytes = size_of(found, kind);
    if (!bytes) return 0;
    bool mine =
        __atomic_compare_exchange_n(word, &found, found | LEAVING, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    return mine ? bytes : 0;
}

void nc_arena_forget(nc_arena which, const void *head) {
    const nc_places *a = &arenas[which];
    size_t at = (size_t)((const char *)head - a->base) / NC_GRANULE;
    uint32_t word = nc_word_at(a, at);
    if (!(word & LEAVING)) nc_fatal("a range is given back that nobody removed");
    for (size_t i = (size_t)(word & NUMBER); i-- > 0;) nc_set_word(a, at + i, 0); /* its start last */
}

char *nc_arena_head(nc_arena which, const void *inside, size_t *bytes) {
    if (nc_arena_of(inside) != (int)which) return NULL;
    const nc_places *a = &arenas[which];
    size_t at = (size_t)((const char *)inside - a->base) / NC_GRANULE;
    uint32_t word = nc_word_at(a, at);
    if (word & INSIDE) word = nc_word_at(a, at -= word & NUMBER);
    if (!word || word & (INSIDE | LEAVING)) return NULL;
    *bytes = (size_t)(word & NUMBER) * NC_GRANULE;
    return a->base + at * NC_GRANULE;
}

static void each_between(const nc_places *a, size_t at, size_t end, nc_range kind, void (*act)(void *head)) {
    for (size_t step; at < end; at += step) {
        uint32_t word = nc_word_at(a, at);
        step = word && !(word & INSIDE) ? word & NUMBER : 1;
        if (size_of(word, kind)) act(a->base + at * NC_GRANULE);
    }
}

void nc_arena_each(nc_arena which, nc_range kind, void (*act)(void *head)) {
    const nc_places *a = &arenas[which];
    if (!__atomic_load_n(&a->base, __ATOMIC_ACQUIRE)) return;
    each_between(a, a->first, __atomic_load_n(&a->next, __ATOMIC_RELAXED), kind, act);
    each_between(a, __atomic_load_n(&a->lowest, __ATOMIC_RELAXED), a->end, kind, act);
}
