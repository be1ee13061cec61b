/* Pinned memory, and what kind of memory an address belongs to. */
#include "answers/answers.h"
#include "answers/memory.h"
#include "base/locks.h"
#include "base/machine.h"
#include "memory/owners.h"
#include <stdlib.h>
#include <string.h>

cudaError_t cudaHostAlloc(void **address, size_t bytes, unsigned flags) {
    NEEDS_ROOM(address);
    *address = bytes ? nc_arena_take(NC_PINNED, NC_ALLOCATION, bytes) : NULL;
    return bytes && !*address ? nc_fail(cudaErrorMemoryAllocation) : cudaSuccess;
}
#undef cudaMallocHost
cudaError_t cudaMallocHost(void **address, size_t bytes) { return cudaHostAlloc(address, bytes, 0); }
cudaError_t cudaFreeHost(void *address) { return address ? nc_give_back(NC_PINNED, address) : cudaSuccess; }

/* Memory the program pinned itself: a list, since there are few such ranges. */
typedef struct range {
    struct range *next;
    char *base;
    size_t bytes;
} range;
static range *registered;

cudaError_t cudaHostRegister(void *address, size_t bytes, unsigned flags) {
    if (!address || !bytes) return nc_fail(cudaErrorInvalidValue);
    range *r = malloc(sizeof *r);
    if (!r) return nc_fail(cudaErrorMemoryAllocation);
    *r = (range){NULL, address, bytes};
    nc_lock(NC_LOCK_REGISTERED);
    bool overlaps = false;
    for (const range *o = registered; o && !overlaps; o = o->next)
        overlaps = r->base < o->base + o->bytes && o->base < r->base + r->bytes;
    r->next = registered;
    if (!overlaps) registered = r;
    nc_unlock(NC_LOCK_REGISTERED);
    if (overlaps) free(r);
    return overlaps ? nc_fail(cudaErrorHostMemoryAlreadyRegistered) : cudaSuccess;
}

cudaError_t cudaHostUnregister(void *address) {
    cudaError_t result = cudaErrorHostMemoryNotRegistered;
    nc_lock(NC_LOCK_REGISTERED);
    for (range **at = &registered; *at; at = &(*at)->next) {
        if ((*at)->base != (char *)address) continue;
        range *gone = *at;
        *at = gone->next;
        free(gone);
        result = cudaSuccess;
        break;
    }
    nc_unlock(NC_LOCK_REGISTERED);
    return result == cudaSuccess ? result : nc_fail(result);
}

cudaError_t cudaHostGetDevicePointer(void **device, void *host, unsigned flags) {
    NEEDS_ROOM(device);
    *device = host;
    return cudaSuccess;
}

static bool is_registered(const void *address) {
    bool found = false;
    nc_lock(NC_LOCK_REGISTERED);
    for (range *r = registered; r && !found; r = r->next)
        found = (const char *)address >= r->base && (const char *)address < r->base + r->bytes;
    nc_unlock(NC_LOCK_REGISTERED);
    return found;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *a, const void *address) {
    NEEDS_ROOM(a);
    memset(a, 0, sizeof *a);
    int arena = nc_arena_of(address);
    if (arena < 0 && is_registered(address)) arena = NC_PINNED;
    a->type = arena == NC_DEVICE    ? cudaMemoryTypeDevice
              : arena == NC_PINNED  ? cudaMemoryTypeHost
              : arena == NC_MANAGED ? cudaMemoryTypeManaged
                                    : cudaMemoryTypeUnregistered;
    a->device = -2; /* cudaInvalidDeviceId for memory CUDA does not know */
    if (arena == NC_DEVICE) a->device = nc_machine_ordinal(nc_owner_of(address));
    else if (arena >= 0) a->device = nc_machine_current();
    a->devicePointer = arena < 0 ? NULL : (void *)address;
    a->hostPointer = arena == NC_DEVICE ? NULL : arena < 0 ? NULL : (void *)address;
    return cudaSuccess;
}

/* Sharing memory with another process would need both to see the same card. */
cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t *h, void *p) { return nc_fail(cudaErrorNotSupported); }
cudaError_t cudaIpcOpenMemHandle(void **p, cudaIpcMemHandle_t h, unsigned f) {
    return nc_fail(cudaErrorNotSupported);
}
cudaError_t cudaIpcCloseMemHandle(void *p) { return nc_fail(cudaErrorNotSupported); }
