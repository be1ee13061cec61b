/* Virtual memory management (cuMemCreate, cuMemMap, ...): what expandable segments are made of.
 *
 * A handle is physical memory and is what the card's budget counts; an address range is only a
 * reservation. Memory is given back when its handle is released and nothing maps it any more.
 */
#include "answers/answers.h"
#include "base/locks.h"
#include "memory/arena.h"
#include "memory/budget.h"
#include "values/known.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef struct {
    size_t bytes;
    int references;
} physical;

/* What is mapped at a granule: a table over the device arena, filled in on demand. */
enum { CHUNK = 1 << 12 };
static struct mapping { physical *memory; } * *chunks;
static size_t chunk_count;
static char *first_reservation; /* all reservations lie above it: addresses only grow */

static physical **mapped_at(CUdeviceptr address) {
    size_t granule = (size_t)((char *)address - first_reservation) / NC_GRANULE, chunk = granule / CHUNK;
    if (chunk >= chunk_count) {
        size_t count = chunk + 16;
        struct mapping **more = realloc(chunks, count * sizeof *more);
        if (!more) nc_fatal("no memory for the table of mappings");
        memset(more + chunk_count, 0, (count - chunk_count) * sizeof *more);
        chunks = more;
        chunk_count = count;
    }
    if (!chunks[chunk] && !(chunks[chunk] = calloc(CHUNK, sizeof **chunks)))
        nc_fatal("no memory for the table of mappings");
    return &chunks[chunk][granule % CHUNK].memory;
}

static void drop(physical *memory) {
    if (--memory->references > 0) return;
    nc_budget_give(memory->bytes);
    free(memory);
}

CUresult cuMemGetAllocationGranularity(size_t *bytes, const CUmemAllocationProp *p,
                                       CUmemAllocationGranularity_flags o) {
    *bytes = NC_GRANULE;
    return CUDA_SUCCESS;
}
CUresult cuMemAddressReserve(CUdeviceptr *address, size_t bytes, size_t alignment, CUdeviceptr wish,
                             unsigned long long flags) {
    char *taken = nc_arena_take(NC_DEVICE, NC_RESERVATION, bytes);
    if (!taken) return bytes ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
    nc_lock(NC_LOCK_MAPPINGS);
    if (!first_reservation || taken < first_reservation) {
        if (first_reservation) nc_fatal("two first reservations at once"); /* cannot happen: addresses grow */
        first_reservation = taken;
    }
    nc_unlock(NC_LOCK_MAPPINGS);
    *address = (CUdeviceptr)taken;
    return CUDA_SUCCESS;
}
CUresult cuMemAddressFree(CUdeviceptr address, size_t bytes) {
    bool reserved = nc_arena_remove(NC_DEVICE, NC_RESERVATION, (void *)address);
    return reserved ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes, const CUmemAllocationProp *p,
                     unsigned long long flags) {
    if (!nc_card_get()) return CUDA_ERROR_NO_DEVICE;
    if (bytes % NC_GRANULE) return CUDA_ERROR_INVALID_VALUE;
    if (!nc_budget_take(bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
    physical *memory = malloc(sizeof *memory);
    if (!memory) nc_fatal("no memory for a handle");
    *memory = (physical){bytes, 1};
    *handle = (CUmemGenericAllocationHandle)(uintptr_t)memory;
    return CUDA_SUCCESS;
}
CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
    nc_lock(NC_LOCK_MAPPINGS);
    drop((physical *)(uintptr_t)handle);
    nc_unlock(NC_LOCK_MAPPINGS);
    return CUDA_SUCCESS;
}
CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,
                  unsigned long long flags) {
    physical *memory = (physical *)(uintptr_t)handle;
    if (!nc_arena_commit((char *)address, bytes))
        nc_fatal("the operating system refused to map %zu bytes", bytes);
    nc_lock(NC_LOCK_MAPPINGS);
    memory->references++;
    *mapped_at(address) = memory; /* stands at the first granule of the mapping */
    nc_unlock(NC_LOCK_MAPPINGS);
    return CUDA_SUCCESS;
}
CUresult cuMemSetAccess(CUdeviceptr address, size_t bytes, const CUmemAccessDesc *access, size_t count) {
    return CUDA_SUCCESS;
}
CUresult cuMemUnmap(CUdeviceptr address, size_t bytes) {
    nc_lock(NC_LOCK_MAPPINGS);
    for (CUdeviceptr at = address; at < address + bytes; at += NC_GRANULE) {
        physical **memory = mapped_at(at);
        if (*memory) drop(*memory);
        *memory = NULL;
    }
    nc_unlock(NC_LOCK_MAPPINGS);
    nc_known_drop((void *)address, bytes);
    nc_arena_decommit((char *)address, bytes);
    return CUDA_SUCCESS;
}
#undef cuMemGetAddressRange
CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr inside) {
    size_t size;
    char *head = nc_arena_head(NC_DEVICE, (void *)inside, &size);
    if (!head) return CUDA_ERROR_NOT_FOUND;
    if (base) *base = (CUdeviceptr)head;
    if (bytes) *bytes = size;
    return CUDA_SUCCESS;
}
/* Sharing handles with another process would need both to see the same card. */
CUresult cuMemExportToShareableHandle(void *to, CUmemGenericAllocationHandle h, CUmemAllocationHandleType t,
                                      unsigned long long f) {
    return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *h, void *from,
                                        CUmemAllocationHandleType t) {
    return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *h, void *address) {
    return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *p, CUmemGenericAllocationHandle h) {
    memset(p, 0, sizeof *p);
    p->type = CU_MEM_ALLOCATION_TYPE_PINNED;
    p->location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    return CUDA_SUCCESS;
}
/* Multicast and green contexts belong to several cards: looked up by PyTorch, refused when called. */
CUresult cuMulticastCreate(CUmemGenericAllocationHandle *h, const CUmulticastObjectProp *p) {
    return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult cuMulticastAddDevice(CUmemGenericAllocationHandle h, CUdevice d) { return CUDA_ERROR_NOT_SUPPORTED; }
CUresult cuMulticastBindMem(CUmemGenericAllocationHandle h, size_t o, CUmemGenericAllocationHandle m,
                            size_t mo, size_t n, unsigned long long f) {
    return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult cuMulticastUnbind(CUmemGenericAllocationHandle h, CUdevice d, size_t o, size_t n) {
    return CUDA_ERROR_NOT_SUPPORTED;
}
