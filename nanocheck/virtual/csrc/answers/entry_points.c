/* How programs look functions of the driver up by name. */
#include "answers/answers.h"
#include <dlfcn.h>
#include <string.h>

/* build.py puts the functions that stop the run by name into a section of their own. */
extern const char __start_nc_stubs[] NC_HIDDEN, __stop_nc_stubs[] NC_HIDDEN;
static bool answered(const void *function) {
    return function
           && !((const char *)function >= __start_nc_stubs && (const char *)function < __stop_nc_stubs);
}

/* A name may stand for several versions of an interface: take one that is answered, the second version first. */
static void *look_up(const char *name) {
    char versioned[128] = "";
    if (strlen(name) < sizeof versioned - 4) strcat(strcpy(versioned, name), "_v2");
    void *second = dlsym(RTLD_DEFAULT, versioned), *plain = dlsym(RTLD_DEFAULT, name);
    void *found = answered(second) ? second : plain;
    nc_trace("look-up %s -> %s", name, answered(found) ? "answered" : found ? "stops by name" : "not found");
    return found;
}
cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned version,
                                             unsigned long long flags,
                                             enum cudaDriverEntryPointQueryResult *result) {
    NEEDS_ROOM(function);
    *function = look_up(name);
    if (result) *result = *function ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    return *function ? cudaSuccess : nc_fail(cudaErrorSymbolNotFound);
}
cudaError_t cudaGetDriverEntryPoint(const char *name, void **function, unsigned long long flags,
                                    enum cudaDriverEntryPointQueryResult *result) {
    return cudaGetDriverEntryPointByVersion(name, function, CUDART_VERSION, flags, result);
}
CUresult cuGetProcAddress_v2(const char *name, void **function, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *result) {
    NEEDS_ROOM_CU(function);
    *function = look_up(name);
    if (result) *result = *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
/* The driver's private tables, by which NVIDIA's own tools reach it: there are none. NVRTC does without, and CUPTI reports
 * that there is nothing to profile, so that a profiler's trace has an empty CUDA part. */
CUresult cuGetExportTable(const void **table, const CUuuid *which) {
    if (!table || !which) return CUDA_ERROR_INVALID_VALUE;
    *table = NULL;
    return CUDA_ERROR_NOT_FOUND;
}
#if CUDA_VERSION >= 12090
/* The driver's own error log: nothing is ever written to it. */
CUresult cuLogsRegisterCallback(CUlogsCallback callback, void *data, CUlogsCallbackHandle *handle) {
    if (handle) *handle = nc_handle();
    return CUDA_SUCCESS;
}
CUresult cuLogsUnregisterCallback(CUlogsCallbackHandle handle) { return CUDA_SUCCESS; }
#endif
