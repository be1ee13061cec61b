/* Modules and functions of the driver API: Triton's, Inductor's and NVRTC's kernels. */
#include "answers/answers.h"
#include "values/writes.h"
#include "work/capture.h"
#include <string.h>
#include <unistd.h>

CUresult cuModuleLoad(CUmodule *module, const char *path) {
    NEEDS_ROOM_CU(module, path);
    if (access(path, R_OK)) return CUDA_ERROR_FILE_NOT_FOUND;
    *module = nc_handle();
    return CUDA_SUCCESS;
}
CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    NEEDS_ROOM_CU(module);
    *module = nc_handle();
    return CUDA_SUCCESS;
}
CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned n, CUjit_option *options,
                            void **values) {
    return cuModuleLoadData(module, image);
}
CUresult cuModuleUnload(CUmodule module) { return CUDA_SUCCESS; }
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    NEEDS_ROOM_CU(function, module, name);
    *function = nc_handle();
    return CUDA_SUCCESS;
}
CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function) {
    NEEDS_ROOM_CU(value);
    /* no spills; a plausible register count keeps Inductor from recompiling with fewer warps */
    *value = attribute == CU_FUNC_ATTRIBUTE_NUM_REGS                ? 64
             : attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024
                                                                    : 0;
    return CUDA_SUCCESS;
}
CUresult cuFuncSetAttribute(CUfunction f, CUfunction_attribute a, int v) { return CUDA_SUCCESS; }
CUresult cuFuncSetCacheConfig(CUfunction f, CUfunc_cache c) { return CUDA_SUCCESS; }
static CUresult launched(CUstream stream, void **arguments, void **extra) {
    if (arguments) nc_writes_lose_unnamed(arguments);
    if (extra) nc_writes_lose_packed(extra);
    nc_count(NC_LAUNCHES);
    nc_capture_node((cudaStream_t)stream);
    return CUDA_SUCCESS;
}
#undef cuLaunchKernel
CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                        unsigned bz, unsigned shared, CUstream stream, void **arguments, void **extra) {
    return launched(stream, arguments, extra);
}
#undef cuLaunchKernelEx
CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f, void **arguments, void **extra) {
    NEEDS_ROOM_CU(config);
    return launched(config->hStream, arguments, extra);
}
#undef cuLaunchCooperativeKernel
CUresult cuLaunchCooperativeKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                                   unsigned by, unsigned bz, unsigned shared, CUstream stream,
                                   void **arguments) {
    return launched(stream, arguments, NULL);
}
CUresult cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
                                const cuuint64_t *dim, const cuuint64_t *strides, const cuuint32_t *box,
                                const cuuint32_t *element, CUtensorMapInterleave interleave,
                                CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
                                CUtensorMapFloatOOBfill fill) {
    NEEDS_ROOM_CU(map);
    memset(map, 0, sizeof *map);
    return CUDA_SUCCESS;
}
