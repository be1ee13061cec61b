/* Kernels: registered by start-up code, counted when launched, never executed. */
#include "answers/answers.h"
#include "values/fill.h"
#include "work/capture.h"
#include "work/kernels.h"
#include <stdlib.h>

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
    nc_kernel_register(host, *handle, name);
}

/* ---- launches ---- */
static cudaError_t launch(const void *function, dim3 block, void **arguments, cudaStream_t stream) {
    nc_kernel k = nc_kernel_find(function);
    if (!k.key) return nc_fail(cudaErrorInvalidDeviceFunction);
    if (!block.x || !block.y || !block.z || (uint64_t)block.x * block.y * block.z > 1024)
        return nc_fail(cudaErrorInvalidConfiguration);
    nc_count(NC_LAUNCHES);
    if (k.kind != NC_LAUNCHES) nc_count(k.kind);
    bool capturing = nc_capturing(stream);
    if (capturing) { /* a replay will write it, whatever stands there by then */
        nc_capture_node(stream);
        nc_writes_lose(nc_kernel_writes(&k), arguments);
    } else if (k.fill && arguments && nc_fill_run(k.fill, arguments)) nc_count(NC_FILLS);
    else nc_writes_run(nc_kernel_writes(&k), arguments);
    return cudaSuccess;
}
cudaError_t cudaLaunchKernel(const void *f, dim3 grid, dim3 block, void **arguments, size_t shared,
                             cudaStream_t stream) {
    return launch(f, block, arguments, stream);
}
cudaError_t cudaLaunchCooperativeKernel(const void *f, dim3 grid, dim3 block, void **arguments, size_t shared,
                                        cudaStream_t stream) {
    return launch(f, block, arguments, stream);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *f, void **arguments) {
    return launch(f, config->blockDim, arguments, config->stream);
}
cudaError_t __cudaLaunchKernel(cudaKernel_t f, dim3 grid, dim3 block, void **arguments, size_t shared,
                               cudaStream_t stream) {
    return launch((const void *)f, block, arguments, stream);
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
