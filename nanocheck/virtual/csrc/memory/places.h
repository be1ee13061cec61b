/* Where in an arena a range is put; with the arena's lock held. */
#ifndef NANOCHECK_PLACES_H
#define NANOCHECK_PLACES_H
#include "base/base.h"
#include <stdint.h>

#define NC_GRANULE ((size_t)2 << 20) /* cudaMalloc hands out whole 2 MiB pages */
/* Addresses per arena: hundreds of full turnovers of any card, before any is used again. Tests take less. */
#ifndef NC_ARENA_GIB
#define NC_ARENA_GIB 8192
#endif
#define NC_ARENA_SPAN ((size_t)NC_ARENA_GIB << 30)

/* An allocation is memory from its start; a reservation (device only) is addresses, committed piece by piece. */
typedef enum { NC_ALLOCATION, NC_RESERVATION } nc_range;

enum { NC_GRANULES_END = NC_ARENA_SPAN / NC_GRANULE, NC_HOLES = 1024 };
typedef struct {
    char *base;
    size_t lowest, end; /* allocations lie in [lowest, end) */
    size_t first, next; /* reservations in [first, next) */
    size_t again;       /* where to look for used ones */
    uint32_t *words;
    struct hole {
        size_t at, granules;
    } holes[NC_HOLES]; /* the oldest first */
    size_t open_holes;
} nc_places;

static inline uint32_t nc_word_at(const nc_places *a, size_t granule) {
    return __atomic_load_n(&a->words[granule], __ATOMIC_ACQUIRE);
}
static inline void nc_set_word(const nc_places *a, size_t granule, uint32_t word) {
    __atomic_store_n(&a->words[granule], word, __ATOMIC_RELEASE);
}

/* The granule where it begins; NC_GRANULES_END: there is no room. */
NC_HIDDEN size_t nc_place(nc_places *arena, nc_range kind, size_t granules);
#endif
