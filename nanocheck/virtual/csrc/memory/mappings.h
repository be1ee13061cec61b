/* Physical memory (cuMemCreate) and where it is mapped. */
#ifndef NANOCHECK_MAPPINGS_H
#define NANOCHECK_MAPPINGS_H
#include "base/base.h"

/* A handle, counted by the card's budget until it is released and nothing maps it any more. NULL: the card is full. */
NC_HIDDEN void *nc_physical_new(int slot, size_t bytes);
/* Another process's: mapped here, counted there. */
NC_HIDDEN void *nc_physical_of_another(int slot, size_t bytes);
NC_HIDDEN size_t nc_physical_bytes(void *handle); /* 0: no handle (any more) */
NC_HIDDEN int nc_physical_slot(void *handle);     /* -1: no handle (any more) */
NC_HIDDEN bool nc_physical_release(void *handle); /* false: no handle (any more) */
/* False: not within one reservation, something is mapped there, or the handle has fewer bytes. */
NC_HIDDEN bool nc_map(char *address, size_t bytes, size_t offset, void *handle);
NC_HIDDEN bool nc_unmap(char *address, size_t bytes); /* false: not the whole of one mapping or several */
NC_HIDDEN bool nc_unreserve(char *address,
                            size_t bytes); /* false: no such reservation, or something is mapped in it */
NC_HIDDEN bool nc_mapped(const char *address, size_t bytes); /* every granule of it */
NC_HIDDEN void nc_mappings_reset(int slot); /* unmaps, unreserves and releases all there is on the card */

#endif
