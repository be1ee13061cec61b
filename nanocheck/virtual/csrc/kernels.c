/* Kernels: registered, classified once by name, counted when launched, never executed. */
#include "known.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const void *key;
    const void *module;
    const char *name;
    nc_writes *writes;
    nc_counter kind;
    int fill;
} kernel;

static kernel *table; /* open addressing by host function pointer; grows before it is half full */
static size_t slots, filled;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long long counters[NC_COUNTERS];

void nc_count(nc_counter counter) { __atomic_add_fetch(&counters[counter], 1, __ATOMIC_RELAXED); }
unsigned long long nanocheck_counter(int counter) {
    return counter >= 0 && counter < NC_COUNTERS ? __atomic_load_n(&counters[counter], __ATOMIC_RELAXED) : 0;
}

static kernel *slot_of(kernel *in, size_t size, const void *key) {
    size_t at = ((uintptr_t)key >> 4) * 0x9E3779B97F4A7C15u % size;
    while (in[at].key && in[at].key != key) at = (at + 1) % size;
    return &in[at];
}

static void grow(void) {
    size_t size = slots ? slots * 4 : 1 << 16;
    kernel *bigger = calloc(size, sizeof *bigger);
    if (!bigger) nc_fatal("no memory for the table of kernels");
    for (size_t i = 0; i < slots; i++)
        if (table[i].key) *slot_of(bigger, size, table[i].key) = table[i];
    free(table);
    table = bigger;
    slots = size;
}

static nc_counter classify(const char *name) {
    if (strstr(name, "flash_fwd") || strstr(name, "flash_bwd")) return NC_FLASH;
    if (strstr(name, "fmha_cutlass") || strstr(name, "AttentionKernel")
        || strstr(name, "AttentionBackwardKernel"))
        return NC_EFFICIENT;
    return NC_LAUNCHES;
}

/* ---- what the compiler's start-up code calls ---- */
void **__cudaRegisterFatBinary(void *module) {
    void **handle = malloc(sizeof *handle);
    if (!handle) nc_fatal("no memory to register a module");
    *handle = module;
    return handle;
}
void __cudaRegisterFatBinaryEnd(void **handle) {}
void __cudaUnregisterFatBinary(void **handle) {}
char __cudaInitModule(void **handle) { return 1; }
void __cudaRegisterVar(void **handle, char *host, char *device, const char *name, int ext, size_t size,
                       int constant, int global) {}
void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name, int limit,
                            uint3 *tid, uint3 *bid, dim3 *block, dim3 *grid, int *warp) {
    pthread_mutex_lock(&lock);
    if (2 * ++filled > slots) grow();
    *slot_of(table, slots, host) = (kernel){host, *handle, name, NULL, classify(name), nc_fill_width(name)};
    pthread_mutex_unlock(&lock);
}

static kernel find(const void *function) {
    kernel found = {0};
    pthread_mutex_lock(&lock);
    if (slots) found = *slot_of(table, slots, function);
    pthread_mutex_unlock(&lock);
    return found;
}

/* What it writes is found at its first launch, outside the lock: a library that is being loaded holds
 * the loader's and waits for ours, and finding it may need the loader's. Two threads may both find it. */
static const nc_writes *writes_of(kernel *k) {
    if (k->writes || !k->name) return k->writes;
    nc_writes *found = nc_writes_of(k->name);
    pthread_mutex_lock(&lock);
    kernel *slot = slot_of(table, slots, k->key);
    if (!slot->writes) slot->writes = found;
    pthread_mutex_unlock(&lock);
    return found;
}

/* ---- launches ---- */
static cudaError_t launch(const void *function, void **arguments, cudaStream_t stream) {
    kernel k = find(function);
    nc_count(NC_LAUNCHES);
    if (k.kind != NC_LAUNCHES) nc_count(k.kind);
    bool capturing = nc_capturing(stream);
    if (capturing) { /* a replay will write it, whatever stands there by then */
        nc_capture_node(stream);
        nc_writes_lose(writes_of(&k), arguments);
    } else if (k.fill && arguments && nc_fill_run(k.fill, arguments)) nc_count(NC_FILLS);
    else nc_writes_run(writes_of(&k), arguments);
    return cudaSuccess;
}
cudaError_t cudaLaunchKernel(const void *f, dim3 grid, dim3 block, void **arguments, size_t shared,
                             cudaStream_t stream) {
    return launch(f, arguments, stream);
}
cudaError_t cudaLaunchCooperativeKernel(const void *f, dim3 grid, dim3 block, void **arguments, size_t shared,
                                        cudaStream_t stream) {
    return launch(f, arguments, stream);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *f, void **arguments) {
    return launch(f, arguments, config->stream);
}
cudaError_t __cudaLaunchKernel(cudaKernel_t f, dim3 grid, dim3 block, void **arguments, size_t shared,
                               cudaStream_t stream) {
    return launch((const void *)f, arguments, stream);
}
cudaError_t __cudaGetKernel(cudaKernel_t *kernel_out, const void *function) {
    *kernel_out = (cudaKernel_t)function;
    return cudaSuccess;
}

static __thread struct {
    dim3 grid, block;
    size_t shared;
    void *stream;
} pending;
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, struct CUstream_st *stream) {
    pending.grid = grid;
    pending.block = block;
    pending.shared = shared;
    pending.stream = stream;
    return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream) {
    *grid = pending.grid;
    *block = pending.block;
    *shared = pending.shared;
    *(void **)stream = pending.stream;
    return cudaSuccess;
}

/* ---- what a kernel looks like ---- */
cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *a, const void *function) {
    const nc_card *card = nc_card_get();
    if (!card) return nc_fail(cudaErrorNoDevice);
    memset(a, 0, sizeof *a);
    kernel k = find(function);
    int arch = nc_fatbin_arch(k.module, card);
    if (!arch) return nc_fail(cudaErrorNoKernelImageForDevice);
    a->binaryVersion = a->ptxVersion = arch;
    a->maxThreadsPerBlock = 1024;
    a->numRegs = 32;
    a->maxDynamicSharedSizeBytes = card->shared_per_block;
    return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void *f, enum cudaFuncAttribute a, int v) { return cudaSuccess; }
cudaError_t cudaFuncSetCacheConfig(const void *f, enum cudaFuncCache c) { return cudaSuccess; }
cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t k, enum cudaFuncAttribute a, int v, int d) {
    return cudaSuccess;
}

/* As many blocks as the threads of a multiprocessor allow: registers and shared memory of the kernel are unknown. */
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *f, int threads,
                                                                   size_t shared, unsigned flags) {
    const nc_card *card = nc_card_get();
    int most = threads > 0 ? card->threads_per_sm / threads : 0;
    *blocks = most > card->blocks_per_sm ? card->blocks_per_sm : most;
    return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *f, int threads,
                                                          size_t shared) {
    return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, f, threads, shared, 0);
}
cudaError_t cudaGetSymbolAddress(void **address, const void *symbol) {
    *address = (void *)symbol;
    return cudaSuccess;
}
