/* What a kernel looks like, and how many of its blocks fit. */
#include "answers/answers.h"
#include "work/fatbin.h"
#include "work/kernels.h"
#include <string.h>

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *a, const void *function) {
    NEEDS_ROOM(a);
    const nc_card *card = nc_card_get();
    if (!card) return nc_fail(cudaErrorNoDevice);
    memset(a, 0, sizeof *a);
    nc_kernel k = nc_kernel_find(function);
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

cudaError_t cudaGetSymbolAddress(void **address, const void *symbol) {
    NEEDS_ROOM(address);
    *address = (void *)symbol;
    return cudaSuccess;
}

/* As many blocks as the threads of a multiprocessor allow: registers and shared memory of the kernel are unknown. */
static cudaError_t occupancy(int *blocks, int threads) {
    const nc_card *card = nc_card_get();
    if (!card) return cudaErrorNoDevice; /* also while one is only promised */
    if (!blocks || threads < 1) return cudaErrorInvalidValue;
    int most = card->threads_per_sm / threads;
    *blocks = most > card->blocks_per_sm ? card->blocks_per_sm : most;
    return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *f, int threads,
                                                                   size_t shared, unsigned flags) {
    cudaError_t error = occupancy(blocks, threads);
    return error ? nc_fail(error) : cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *f, int threads,
                                                          size_t shared) {
    return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, f, threads, shared, 0);
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction f, int threads, size_t shared) {
    return (CUresult)occupancy(blocks, threads); /* the driver's errors carry the same numbers */
}
CUresult cuOccupancyMaxActiveClusters(int *clusters, CUfunction f, const CUlaunchConfig *config) {
    NEEDS_ROOM_CU(clusters);
    if (!nc_card_get()) return CUDA_ERROR_NO_DEVICE;
    *clusters = 1;
    return CUDA_SUCCESS;
}
