/* What a kernel looks like, and how many of its blocks fit. */
#include "answers/answers.h"
#include "work/fatbin.h"
#include "work/kernels.h"
#include <string.h>

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *a, const void *function) {
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
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction f, int threads, size_t shared) {
    const nc_card *card = nc_card_get();
    int most = threads > 0 ? card->threads_per_sm / threads : 0;
    *blocks = most > card->blocks_per_sm ? card->blocks_per_sm : most;
    return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxActiveClusters(int *clusters, CUfunction f, const CUlaunchConfig *config) {
    *clusters = 1;
    return CUDA_SUCCESS;
}
