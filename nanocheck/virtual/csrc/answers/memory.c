/* cudaMalloc and its kin: device and managed memory. */
#include "answers/memory.h"
#include "answers/answers.h"
#include "base/machine.h"
#include "memory/arena.h"
#include "memory/budget.h"
#include "memory/owners.h"
#include "values/known.h"
#include "work/capture.h"

cudaError_t cudaMalloc(void **address, size_t bytes) {
    if (!nc_card_get()) return nc_fail(cudaErrorNoDevice);
    if (!address) return nc_fail(cudaErrorInvalidValue);
    if (nc_capture_forbids()) return nc_fail(cudaErrorStreamCaptureUnsupported);
    if (!bytes) {
        *address = NULL;
        return cudaSuccess;
    }
    size_t size = nc_round(bytes);
    int slot = nc_machine_here();
    if (size < bytes || !nc_budget_take(slot, size)) return nc_fail(cudaErrorMemoryAllocation);
    if (!(*address = nc_arena_take(NC_DEVICE, NC_ALLOCATION,
                                   size))) /* the budget had them, so there are addresses */
        nc_fatal("the operating system refused %zu bytes of address space (vm.overcommit_memory, "
                 "vm.max_map_count?)",
                 size);
    nc_owner_set(*address, slot);
    nc_trace("cudaMalloc %zu", bytes);
    return cudaSuccess;
}

cudaError_t nc_give_back(nc_arena arena, void *address) {
    int slot = arena == NC_DEVICE ? nc_owner_of(address) : 0; /* while it is there */
    size_t size = nc_arena_remove(arena, NC_ALLOCATION, address);
    if (!size) return nc_fail(cudaErrorInvalidValue);
    nc_known_drop(address, size);
    nc_arena_decommit(address, size);
    nc_arena_forget(arena, address);
    if (arena == NC_DEVICE) nc_budget_give(slot, size);
    return cudaSuccess;
}

cudaError_t cudaFree(void *address) {
    if (!address) return cudaSuccess;
    return nc_give_back(nc_arena_of(address) == NC_MANAGED ? NC_MANAGED : NC_DEVICE, address);
}

cudaError_t cudaMallocAsync(void **address, size_t bytes, cudaStream_t stream) {
    return cudaMalloc(address, bytes);
}
cudaError_t cudaFreeAsync(void *address, cudaStream_t stream) { return cudaFree(address); }

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
    if (!nc_card_get()) return nc_fail(cudaErrorNoDevice);
    if (!free_bytes || !total_bytes) return nc_fail(cudaErrorInvalidValue);
    *free_bytes = nc_budget_free(nc_machine_here());
    *total_bytes = nc_card_get()->total_bytes;
    return cudaSuccess;
}

/* Managed memory migrates on demand; it is not counted against the card. */
cudaError_t cudaMallocManaged(void **address, size_t bytes, unsigned flags) {
    bool legal = flags == cudaMemAttachGlobal || flags == cudaMemAttachHost;
    if (!bytes || !address || !legal) return nc_fail(cudaErrorInvalidValue);
    *address = nc_arena_take(NC_MANAGED, NC_ALLOCATION, bytes);
    return *address ? cudaSuccess : nc_fail(cudaErrorMemoryAllocation);
}
/* Hints where it should lie, as paged optimizers give them: it stays evictable, so nothing is counted. */
#if CUDART_VERSION >= 13000
cudaError_t cudaMemPrefetchAsync(const void *a, size_t n, struct cudaMemLocation to, unsigned flags,
                                 cudaStream_t s) {
    nc_capture_node(s);
    return cudaSuccess;
}
cudaError_t cudaMemAdvise(const void *a, size_t n, enum cudaMemoryAdvise advice, struct cudaMemLocation at) {
    return cudaSuccess;
}
#else
cudaError_t cudaMemPrefetchAsync(const void *a, size_t n, int to, cudaStream_t s) {
    nc_capture_node(s);
    return cudaSuccess;
}
cudaError_t cudaMemPrefetchAsync_v2(const void *a, size_t n, struct cudaMemLocation to, unsigned flags,
                                    cudaStream_t s) {
    nc_capture_node(s);
    return cudaSuccess;
}
cudaError_t cudaMemAdvise(const void *a, size_t n, enum cudaMemoryAdvise advice, int device) {
    return cudaSuccess;
}
#endif
