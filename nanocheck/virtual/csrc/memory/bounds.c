/* Whether a stretch of memory lies within one allocation. */
#include "memory/bounds.h"
#include "memory/arena.h"
#include "memory/mappings.h"

bool nc_within(const void *at, size_t bytes) {
    if (!bytes) return true;
    int arena = nc_arena_of(at);
    if (arena < 0) return at != NULL;
    size_t size;
    const char *head = nc_arena_head((nc_arena)arena, at, &size);
    if (!head || bytes > size - (size_t)((const char *)at - head)) return false;
    bool reserved = arena == NC_DEVICE && nc_arena_size(NC_DEVICE, NC_RESERVATION, head);
    return !reserved || nc_mapped(at, bytes);
}
