/* Address ranges: one reservation per kind of memory, cut into 2 MiB granules, committed on touch.
 *
 * Addresses only ever grow, as those of a real driver mostly do; which arena an address belongs to
 * and where an allocation starts are table look-ups, so bookkeeping does not slow down with the
 * number of allocations. Nothing is backed by memory until somebody writes to it.
 */
#include "memory/arena.h"
#include "base/locks.h"
#include "base/report.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define SPAN NC_ARENA_SPAN
#define RESERVED ((uint32_t)1 << 31)
static const uint32_t MARK[] = {[NC_ALLOCATION] = 0, [NC_RESERVATION] = RESERVED};

static struct {
    char *base;
    size_t next, first; /* granule never handed out; where it began */
    uint32_t *lengths;  /* granules of the allocation that starts here, else 0 */
} arenas[NC_ARENAS];

static void open_arena(nc_arena which) {
    size_t table = SPAN / NC_GRANULE * sizeof(uint32_t);
    char *base = mmap(NULL, SPAN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint32_t *lengths =
        mmap(NULL, table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED || lengths == MAP_FAILED)
        nc_fatal("cannot reserve %zu GiB of addresses (%s); is `ulimit -v` set?", SPAN >> 30,
                 strerror(errno));
    arenas[which].lengths = lengths;
    /* Begin where the lower half of an address is no small number: one that stands beside what an address
     * left in a kernel's parameters (values/parameters.c) would look like another address. */
    uintptr_t begin = ((((uintptr_t)base >> 32) + 1) << 32) + ((uintptr_t)1 << 31);
    arenas[which].first = arenas[which].next = (begin - (uintptr_t)base) / NC_GRANULE;
    __atomic_store_n(&arenas[which].base, base, __ATOMIC_RELEASE);
}

char *nc_arena_take(nc_arena which, nc_range kind, size_t bytes) {
    size_t granules = nc_round(bytes) / NC_GRANULE;
    if (!bytes || bytes > SPAN - NC_GRANULE) return NULL;
    nc_lock(NC_LOCK_ARENA);
    if (!arenas[which].base) open_arena(which);
    size_t at = arenas[which].next;
    bool fits = granules <= SPAN / NC_GRANULE - at;
    if (fits) {
        __atomic_store_n(&arenas[which].next, at + granules, __ATOMIC_RELAXED);
        __atomic_store_n(&arenas[which].lengths[at], (uint32_t)granules | MARK[kind], __ATOMIC_RELAXED);
    }
    nc_unlock(NC_LOCK_ARENA);
    if (!fits && which == NC_DEVICE)
        nc_fatal("the virtual card has used up its %zu GiB of addresses", SPAN >> 30);
    if (!fits) return NULL;
    char *address = arenas[which].base + at * NC_GRANULE;
    if (kind == NC_RESERVATION || nc_arena_commit(address, granules * NC_GRANULE)) return address;
    nc_arena_remove(which, kind, address);
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
    size_t next = __atomic_load_n(&arenas[NC_DEVICE].next, __ATOMIC_RELAXED);
    return base && offset < next * NC_GRANULE && offset >= arenas[NC_DEVICE].first * NC_GRANULE ? offset
                                                                                                : SIZE_MAX;
}

static uint32_t *length_at(nc_arena which, const void *head) { /* NULL: no start of a granule */
    if (nc_arena_of(head) != (int)which) return NULL;
    size_t offset = (size_t)((const char *)head - arenas[which].base);
    return offset % NC_GRANULE ? NULL : &arenas[which].lengths[offset / NC_GRANULE];
}

static size_t size_of(uint32_t length, nc_range kind) {
    return (length & RESERVED) == MARK[kind] ? (size_t)(length & ~RESERVED) * NC_GRANULE : 0;
}

size_t nc_arena_size(nc_arena which, nc_range kind, const void *head) {
    const uint32_t *length = length_at(which, head);
    return length ? size_of(__atomic_load_n(length, __ATOMIC_RELAXED), kind) : 0;
}

size_t nc_arena_remove(nc_arena which, nc_range kind, const void *head) {
    uint32_t *length = length_at(which, head);
    uint32_t found = length ? __atomic_load_n(length, __ATOMIC_RELAXED) : 0;
    size_t bytes = size_of(found, kind);
    if (!bytes) return 0;
    bool mine = __atomic_compare_exchange_n(length, &found, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return mine ? bytes : 0;
}

char *nc_arena_head(nc_arena which, const void *inside, size_t *bytes) {
    if (nc_arena_of(inside) != (int)which) return NULL;
    size_t granule = (size_t)((const char *)inside - arenas[which].base) / NC_GRANULE;
    for (size_t at = granule + 1; at-- > arenas[which].first;) {
        uint32_t length = __atomic_load_n(&arenas[which].lengths[at], __ATOMIC_RELAXED);
        if (!length) continue;
        *bytes = (size_t)(length & ~RESERVED) * NC_GRANULE;
        return *bytes > (granule - at) * NC_GRANULE ? arenas[which].base + at * NC_GRANULE : NULL;
    }
    return NULL;
}
