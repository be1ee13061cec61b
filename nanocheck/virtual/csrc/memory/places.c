/* Where ranges lie in an arena.
 * Where an allocation lies follows what is known of a driver under Linux: regions of 32 MiB, or as many as it needs,
 * each below the one before; what it leaves of its region is filled upwards by those that fit, the oldest such hole
 * first. Of equal free blocks PyTorch before 2.12 takes the one with the lowest address, and on that hangs how much
 * it reserves (benchmarks/t4_lora.py; docs/limits.md). Of reservations, which expandable segments are made of,
 * nothing is known: they lie one after the other, upwards, at the other end. Where there are no addresses left,
 * the ranges that were given back are used again, in turn. Nothing is backed by memory until somebody writes to it.
 */
#include "memory/places.h"
#include <string.h>

enum { REGION = (32 << 20) / NC_GRANULE };

/* The next so many granules in a row that nothing lies in; NC_GRANULES_END: there are none. */
static size_t used_before(const nc_places *a, size_t granules) {
    size_t starts[] = {a->again, a->first};
    for (int i = 0; i < 2; i++)
        for (size_t at = starts[i], row = 0; at < a->end; at++) {
            row = nc_word_at(a, at) ? 0 : row + 1;
            if (row == granules) return at + 1 - granules;
        }
    return NC_GRANULES_END;
}

static void close_hole(nc_places *a, size_t which) {
    memmove(&a->holes[which], &a->holes[which + 1], (--a->open_holes - which) * sizeof(a->holes[0]));
}

static void open_hole(nc_places *a, size_t at, size_t granules) {
    if (a->open_holes == NC_HOLES) close_hole(a, 0); /* its addresses stay unused */
    a->holes[a->open_holes++] = (struct hole){at, granules};
}

/* Neither end has room: from now on all addresses count as handed out before. */
static size_t place_again(nc_places *a, size_t granules) {
    a->open_holes = 0;
    __atomic_store_n(&a->next, a->lowest, __ATOMIC_RELAXED);
    size_t at = used_before(a, granules);
    if (at < NC_GRANULES_END) a->again = at + granules;
    return at;
}

static size_t place_upwards(nc_places *a, size_t granules) {
    size_t at = a->next;
    if (granules > a->lowest - at) return place_again(a, granules);
    __atomic_store_n(&a->next, at + granules, __ATOMIC_RELAXED);
    return at;
}

static size_t place_downwards(nc_places *a, size_t granules) {
    for (size_t i = 0; i < a->open_holes; i++) {
        struct hole *into = &a->holes[i];
        if (into->granules < granules) continue;
        size_t at = into->at;
        into->at += granules;
        if (!(into->granules -= granules)) close_hole(a, i);
        return at;
    }
    size_t region = (granules + REGION - 1) / REGION * REGION;
    if (region <= a->lowest - a->next) {
        size_t at = a->lowest - region;
        __atomic_store_n(&a->lowest, at, __ATOMIC_RELAXED);
        if (region > granules) open_hole(a, at + granules, region - granules);
        return at;
    }
    return place_again(a, granules);
}

size_t nc_place(nc_places *a, nc_range kind, size_t granules) {
    return kind == NC_RESERVATION ? place_upwards(a, granules) : place_downwards(a, granules);
}
