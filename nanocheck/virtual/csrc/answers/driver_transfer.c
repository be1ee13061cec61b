/* The driver's copies and memsets. */
#include "answers/answers.h"
#include "memory/bounds.h"
#include "values/copies.h"
#include "values/known.h"

static CUresult copy(void *to, const void *from, size_t n) {
    if (!nc_within(to, n) || !nc_within(from, n)) return CUDA_ERROR_INVALID_VALUE;
    nc_copy(to, from, n);
    return CUDA_SUCCESS;
}

#undef cuMemcpyHtoD
#undef cuMemcpyDtoH
#undef cuMemcpyDtoD
CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t n) { return copy((void *)to, from, n); }
CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t n) { return copy(to, (void *)from, n); }
CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t n) {
    return copy((void *)to, (void *)from, n);
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t n, CUstream s) {
    return copy((void *)to, from, n);
}
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t n, CUstream s) {
    return copy(to, (void *)from, n);
}
#undef cuMemcpyAsync
CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream s) {
    return copy((void *)to, (void *)from, n);
}
#undef cuMemsetD32Async
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
    if (count > SIZE_MAX / 4 || !nc_within((void *)to, count * 4)) return CUDA_ERROR_INVALID_VALUE;
    if (!nc_carried_out((void *)to, count * 4)) return CUDA_SUCCESS;
    for (size_t i = 0; i < count; i++) ((unsigned *)to)[i] = value;
    nc_known_set((void *)to, count * 4, NC_WRITTEN);
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
