/* Address ranges in granules, constant-time. */
#ifndef NANOCHECK_ARENA_H
#define NANOCHECK_ARENA_H
#include "base/base.h"

#define NC_GRANULE ((size_t)2 << 20) /* cudaMalloc hands out whole 2 MiB pages */
/* 8 TiB of addresses per arena: hundreds of full turnovers of any card. */
#define NC_ARENA_SPAN ((size_t)1 << 43)

typedef enum { NC_DEVICE, NC_PINNED, NC_MANAGED, NC_ARENAS } nc_arena;
NC_HIDDEN char *nc_arena_take(nc_arena arena, size_t bytes, bool commit);
NC_HIDDEN bool nc_arena_commit(char *address, size_t bytes);
NC_HIDDEN void nc_arena_decommit(char *address, size_t bytes);
NC_HIDDEN size_t nc_arena_size(nc_arena arena, const void *head); /* 0: no allocation starts there */
NC_HIDDEN void nc_arena_forget(nc_arena arena, const void *head);
NC_HIDDEN char *nc_arena_head(nc_arena arena, const void *inside); /* NULL: nothing there */
NC_HIDDEN int nc_arena_of(const void *address);                    /* an nc_arena, or -1 */
/* Into the device arena's part in use; SIZE_MAX: elsewhere. */
NC_HIDDEN size_t nc_arena_offset(const void *address);
static inline size_t nc_round(size_t bytes) { return (bytes + NC_GRANULE - 1) & ~(NC_GRANULE - 1); }
static inline bool nc_is_device(const void *address) {
    int arena = nc_arena_of(address);
    return arena == NC_DEVICE || arena == NC_MANAGED;
}

#endif
