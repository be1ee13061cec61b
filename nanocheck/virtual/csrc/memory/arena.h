/* Address ranges in granules, constant-time. */
#ifndef NANOCHECK_ARENA_H
#define NANOCHECK_ARENA_H
#include "memory/places.h"

typedef enum { NC_DEVICE, NC_PINNED, NC_MANAGED, NC_ARENAS } nc_arena;

/* NULL: no such row of addresses is free, or the operating system refuses. */
NC_HIDDEN char *nc_arena_take(nc_arena arena, nc_range kind, size_t bytes);
NC_HIDDEN bool nc_arena_commit(char *address, size_t bytes);
NC_HIDDEN void nc_arena_decommit(char *address, size_t bytes);
/* Its size; 0: nothing of this kind starts there. Of several threads that remove it, one gets the size. */
NC_HIDDEN size_t nc_arena_size(nc_arena arena, nc_range kind, const void *head);
NC_HIDDEN size_t nc_arena_remove(nc_arena arena, nc_range kind, const void *head);
/* Whoever removed it has emptied it: its addresses may be handed out again. */
NC_HIDDEN void nc_arena_forget(nc_arena arena, const void *head);
NC_HIDDEN void nc_arena_each(nc_arena arena, nc_range kind, void (*act)(void *head));
/* Where what lies around this address starts, of either kind; NULL: nothing. */
NC_HIDDEN char *nc_arena_head(nc_arena arena, const void *inside, size_t *bytes);
NC_HIDDEN int nc_arena_of(const void *address); /* an nc_arena, or -1 */
/* Into the device arena's part in use; SIZE_MAX: elsewhere. */
NC_HIDDEN size_t nc_arena_offset(const void *address);
static inline size_t nc_round(size_t bytes) { return (bytes + NC_GRANULE - 1) & ~(NC_GRANULE - 1); }
static inline bool nc_is_device(const void *address) {
    int arena = nc_arena_of(address);
    return arena == NC_DEVICE || arena == NC_MANAGED;
}

#endif
