/* cudaMalloc and its kin: the card's budget, device, pinned and managed memory. */
#include "known.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Granules handed out by cudaMalloc and cuMemCreate; the most at once. */
static size_t used_bytes, most_bytes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

bool nc_budget_take(size_t bytes) {
    const nc_card *card = nc_card_get();
    pthread_mutex_lock(&lock);
    bool fits = used_bytes + bytes + card->context_bytes + card->reserve_bytes <= card->total_bytes;
    if (fits) used_bytes += bytes;
    if (used_bytes > most_bytes) most_bytes = used_bytes;
    nc_shared_show(card->context_bytes + used_bytes);
    pthread_mutex_unlock(&lock);
    return fits;
}

void nc_budget_give(size_t bytes) {
    pthread_mutex_lock(&lock);
    used_bytes -= bytes;
    nc_shared_show(nc_card_get()->context_bytes + used_bytes);
    pthread_mutex_unlock(&lock);
}

size_t nc_budget_free(void) {
    const nc_card *card = nc_card_get();
    pthread_mutex_lock(&lock);
    size_t taken = used_bytes + card->context_bytes + card->reserve_bytes;
    pthread_mutex_unlock(&lock);
    return taken < card->total_bytes ? card->total_bytes - taken : 0;
}

size_t nanocheck_process_bytes(void) { /* what nvidia-smi would show for this process */
    const nc_card *card = nc_card_get();
    return card ? card->total_bytes - card->reserve_bytes - nc_budget_free() : 0;
}

size_t nanocheck_peak_used(void) { /* the most nvidia-smi would have shown for this process */
    const nc_card *card = nc_card_get();
    return card ? card->context_bytes + __atomic_load_n(&most_bytes, __ATOMIC_RELAXED) : 0;
}

cudaError_t cudaMalloc(void **address, size_t bytes) {
    if (!nc_card_get()) return nc_fail(cudaErrorNoDevice);
    if (!bytes) {
        *address = NULL;
        return cudaSuccess;
    }
    size_t size = nc_round(bytes);
    if (size < bytes || !nc_budget_take(size)) return nc_fail(cudaErrorMemoryAllocation);
    if (!(*address = nc_arena_take(NC_DEVICE, size, true)))
        nc_fatal("the operating system refused %zu bytes of address space (vm.overcommit_memory, "
                 "vm.max_map_count?)",
                 size);
    nc_trace("cudaMalloc %zu", bytes);
    return cudaSuccess;
}

static cudaError_t give_back(nc_arena arena, void *address) {
    size_t size = nc_arena_size(arena, address);
    if (!size) return nc_fail(cudaErrorInvalidValue);
    nc_arena_forget(arena, address);
    nc_arena_decommit(address, size);
    if (arena == NC_DEVICE) nc_budget_give(size);
    return cudaSuccess;
}

cudaError_t cudaFree(void *address) {
    if (!address) return cudaSuccess;
    return give_back(nc_arena_of(address) == NC_MANAGED ? NC_MANAGED : NC_DEVICE, address);
}

cudaError_t cudaMallocAsync(void **address, size_t bytes, cudaStream_t stream) {
    return cudaMalloc(address, bytes);
}
cudaError_t cudaFreeAsync(void *address, cudaStream_t stream) { return cudaFree(address); }

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
    if (!nc_card_get()) return nc_fail(cudaErrorNoDevice);
    *free_bytes = nc_budget_free();
    *total_bytes = nc_card_get()->total_bytes;
    return cudaSuccess;
}

/* Managed memory migrates on demand and never fails; it is not counted against the card. */
cudaError_t cudaMallocManaged(void **address, size_t bytes, unsigned flags) {
    *address = bytes ? nc_arena_take(NC_MANAGED, bytes, true) : NULL;
    return cudaSuccess;
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

cudaError_t cudaHostAlloc(void **address, size_t bytes, unsigned flags) {
    *address = bytes ? nc_arena_take(NC_PINNED, bytes, true) : NULL;
    return bytes && !*address ? nc_fail(cudaErrorMemoryAllocation) : cudaSuccess;
}
#undef cudaMallocHost
cudaError_t cudaMallocHost(void **address, size_t bytes) { return cudaHostAlloc(address, bytes, 0); }
cudaError_t cudaFreeHost(void *address) { return address ? give_back(NC_PINNED, address) : cudaSuccess; }

/* Memory the program pinned itself: a list, since there are few such ranges. */
typedef struct range {
    struct range *next;
    char *base;
    size_t bytes;
} range;
static range *registered;

cudaError_t cudaHostRegister(void *address, size_t bytes, unsigned flags) {
    range *r = malloc(sizeof *r);
    if (!r) return nc_fail(cudaErrorMemoryAllocation);
    pthread_mutex_lock(&lock);
    *r = (range){registered, address, bytes};
    registered = r;
    pthread_mutex_unlock(&lock);
    return cudaSuccess;
}

cudaError_t cudaHostUnregister(void *address) {
    cudaError_t result = cudaErrorHostMemoryNotRegistered;
    pthread_mutex_lock(&lock);
    for (range **at = &registered; *at; at = &(*at)->next) {
        if ((*at)->base != (char *)address) continue;
        range *gone = *at;
        *at = gone->next;
        free(gone);
        result = cudaSuccess;
        break;
    }
    pthread_mutex_unlock(&lock);
    return result == cudaSuccess ? result : nc_fail(result);
}

cudaError_t cudaHostGetDevicePointer(void **device, void *host, unsigned flags) {
    *device = host;
    return cudaSuccess;
}

static bool is_registered(const void *address) {
    bool found = false;
    pthread_mutex_lock(&lock);
    for (range *r = registered; r && !found; r = r->next)
        found = (const char *)address >= r->base && (const char *)address < r->base + r->bytes;
    pthread_mutex_unlock(&lock);
    return found;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *a, const void *address) {
    memset(a, 0, sizeof *a);
    int arena = nc_arena_of(address);
    if (arena < 0 && is_registered(address)) arena = NC_PINNED;
    a->type = arena == NC_DEVICE    ? cudaMemoryTypeDevice
              : arena == NC_PINNED  ? cudaMemoryTypeHost
              : arena == NC_MANAGED ? cudaMemoryTypeManaged
                                    : cudaMemoryTypeUnregistered;
    a->device = arena < 0 ? -2 : 0; /* cudaInvalidDeviceId for memory CUDA does not know */
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
