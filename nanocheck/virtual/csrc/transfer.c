/* Copies and memsets.
 *
 * Small ones are real, so labels, shapes and counters keep their values. Larger writes to the card
 * are left out: nothing computes with them, and an 80 GB card must fit in a small machine. Reads
 * from the card are always real, but for the counts below; memory that nobody wrote reads as zeros.
 */
#include "known.h"
#include <string.h>

static bool carried_out(const void *destination, size_t bytes) {
    const nc_card *card = nc_card_get();
    if (!nc_is_device(destination) || !card || bytes <= card->copy_limit_bytes) return true;
    nc_count(NC_COPIES_SKIPPED);
    nc_known_lose(destination);
    return false;
}

/* PyTorch reads counts for itself (nonzero, masks, unique) where nobody can say of what type the memory is: an
 * integer of four or eight bytes. A count that no kernel computed is one, never what an earlier tensor left. */
static unsigned long long sizes_made_up;
unsigned long long nanocheck_sizes_made_up(void) { return __atomic_load_n(&sizes_made_up, __ATOMIC_RELAXED); }

static cudaError_t copy(void *to, const void *from, size_t bytes) {
    static const int64_t ONE = 1; /* little endian, as the host */
    if (!bytes || !carried_out(to, bytes)) return cudaSuccess;
    if ((bytes == 4 || bytes == 8) && !nc_is_device(to) && !nc_known_all(from, bytes)) {
        __atomic_add_fetch(&sizes_made_up, 1, __ATOMIC_RELAXED);
        from = &ONE;
    }
    memmove(to, from, bytes);
    nc_known_copy(to, from, bytes);
    return cudaSuccess;
}

static cudaError_t copy_rows(char *to, size_t to_pitch, const char *from, size_t from_pitch, size_t width,
                             size_t rows) {
    if (carried_out(to, width * rows))
        for (size_t row = 0; row < rows; row++) copy(to + row * to_pitch, from + row * from_pitch, width);
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t n, enum cudaMemcpyKind kind) {
    return copy(to, from, n);
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, enum cudaMemcpyKind kind,
                            cudaStream_t stream) {
    if (nc_capturing(stream)) {
        nc_capture_node(stream);
        nc_known_lose(to);
        return cudaSuccess;
    }
    return copy(to, from, n);
}
cudaError_t cudaMemcpyPeerAsync(void *to, int td, const void *from, int fd, size_t n, cudaStream_t stream) {
    return copy(to, from, n);
}
cudaError_t cudaMemcpy2D(void *to, size_t tp, const void *from, size_t fp, size_t width, size_t rows,
                         enum cudaMemcpyKind kind) {
    return copy_rows(to, tp, from, fp, width, rows);
}
cudaError_t cudaMemcpy2DAsync(void *to, size_t tp, const void *from, size_t fp, size_t width, size_t rows,
                              enum cudaMemcpyKind kind, cudaStream_t stream) {
    return copy_rows(to, tp, from, fp, width, rows);
}
cudaError_t cudaMemcpyToSymbol(const void *symbol, const void *from, size_t n, size_t offset,
                               enum cudaMemcpyKind kind) {
    /* __constant__ memory: only kernels read it */
    return cudaSuccess;
}
cudaError_t cudaMemset(void *to, int value, size_t n) {
    if (!n || !carried_out(to, n)) return cudaSuccess;
    memset(to, value, n);
    nc_known_set(to, n, false);
    return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void *to, int value, size_t n, cudaStream_t stream) {
    if (nc_capturing(stream)) {
        nc_capture_node(stream);
        nc_known_lose(to);
        return cudaSuccess;
    }
    return cudaMemset(to, value, n);
}

#undef cuMemcpyHtoD
#undef cuMemcpyDtoH
#undef cuMemcpyDtoD
CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t n) {
    copy((void *)to, from, n);
    return CUDA_SUCCESS;
}
CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t n) {
    copy(to, (void *)from, n);
    return CUDA_SUCCESS;
}
CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t n) {
    copy((void *)to, (void *)from, n);
    return CUDA_SUCCESS;
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t n, CUstream s) {
    copy((void *)to, from, n);
    return CUDA_SUCCESS;
}
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t n, CUstream s) {
    copy(to, (void *)from, n);
    return CUDA_SUCCESS;
}
#undef cuMemcpyAsync
CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream s) {
    copy((void *)to, (void *)from, n);
    return CUDA_SUCCESS;
}
#undef cuMemsetD32Async
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
    if (!carried_out((void *)to, count * 4)) return CUDA_SUCCESS;
    for (size_t i = 0; i < count; i++) ((unsigned *)to)[i] = value;
    nc_known_set((void *)to, count * 4, false);
    return CUDA_SUCCESS;
}
#undef cuMemsetD8Async
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t n, CUstream stream) {
    return (CUresult)cudaMemsetAsync((void *)to, value, n, (cudaStream_t)stream);
}
#undef cuStreamWriteValue32
CUresult cuStreamWriteValue32(CUstream stream, CUdeviceptr to, cuuint32_t value, unsigned flags) {
    return cuMemsetD32Async(to, value, 1, stream);
}
#undef cuStreamWriteValue32_v2
CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr to, cuuint32_t value, unsigned flags) {
    return cuStreamWriteValue32(stream, to, value, flags);
}
