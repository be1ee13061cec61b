/* NCCL's errors, what it says of a communicator, and memory that it allocates for the program. */
#include "answers/nccl.h"
#include <stdarg.h>
#include <stdio.h>

static __thread char last_error[512];

ncclResult_t nc_nccl_fail(ncclResult_t result, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return result;
}

ncclResult_t ncclGetVersion(int *version) {
    *version = NCCL_VERSION_CODE;
    return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error) {
    *error = ncclSuccess;
    return ncclSuccess;
}
ncclResult_t ncclCommCount(const ncclComm_t comm, int *count) {
    if (!nc_object_is(comm, NC_COMM)) return nc_nccl_fail(ncclInvalidArgument, "no communicator");
    *count = comm->ranks;
    return ncclSuccess;
}
ncclResult_t ncclCommUserRank(const ncclComm_t comm, int *rank) {
    if (!nc_object_is(comm, NC_COMM)) return nc_nccl_fail(ncclInvalidArgument, "no communicator");
    *rank = comm->rank;
    return ncclSuccess;
}
ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int *device) {
    if (!nc_object_is(comm, NC_COMM)) return nc_nccl_fail(ncclInvalidArgument, "no communicator");
    *device = comm->device;
    return ncclSuccess;
}
const char *ncclGetLastError(ncclComm_t comm) { return last_error; }
const char *ncclGetErrorString(ncclResult_t result) {
    switch (result) {
    case ncclSuccess: return "no error";
    case ncclSystemError: return "unhandled system error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    case ncclRemoteError: return "remote process exited or there was a network error";
    default: return "error of the virtual GPU's NCCL";
    }
}

/* ---- memory: registration costs nothing, allocation comes from the card ---- */
ncclResult_t ncclMemAlloc(void **address, size_t bytes) {
    return cudaMalloc(address, bytes) == cudaSuccess ? ncclSuccess
                                                     : nc_nccl_fail(ncclUnhandledCudaError, "out of memory");
}
ncclResult_t ncclMemFree(void *address) {
    cudaFree(address);
    return ncclSuccess;
}
ncclResult_t ncclCommRegister(const ncclComm_t comm, void *buffer, size_t bytes, void **handle) {
    *handle = nc_handle();
    return ncclSuccess;
}
ncclResult_t ncclCommDeregister(const ncclComm_t comm, void *handle) { return ncclSuccess; }
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0)
ncclResult_t ncclCommWindowRegister(ncclComm_t comm, void *buffer, size_t bytes, ncclWindow_t *window,
                                    int flags) {
    return ncclCommRegister(comm, buffer, bytes, (void **)window);
}
ncclResult_t ncclCommWindowDeregister(ncclComm_t comm, ncclWindow_t window) { return ncclSuccess; }
#endif
