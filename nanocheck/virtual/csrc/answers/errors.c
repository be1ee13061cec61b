/* Errors: the last one of a thread, and their names. */
#include "answers/answers.h"

cudaError_t cudaGetLastError(void) {
    cudaError_t error = nc_last_error;
    nc_last_error = cudaSuccess;
    return error;
}
cudaError_t cudaPeekAtLastError(void) { return nc_last_error; }

static const struct {
    cudaError_t error;
    const char *name, *text;
} ERRORS[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorSymbolNotFound, "cudaErrorSymbolNotFound", "named symbol not found"},
    {cudaErrorHostMemoryNotRegistered, "cudaErrorHostMemoryNotRegistered",
     "pointer does not correspond to a registered memory region"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorInvalidPitchValue, "cudaErrorInvalidPitchValue", "invalid pitch argument"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorHostMemoryAlreadyRegistered, "cudaErrorHostMemoryAlreadyRegistered",
     "part or all of the requested memory range is already mapped"},
    {cudaErrorFileNotFound, "cudaErrorFileNotFound", "file not found"},
};
static const char *describe(int error, bool name) {
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
        if ((int)ERRORS[i].error == error) return name ? ERRORS[i].name : ERRORS[i].text;
    return name ? "cudaErrorUnknown" : "unknown error of the virtual GPU";
}
const char *cudaGetErrorName(cudaError_t error) { return describe((int)error, true); }
const char *cudaGetErrorString(cudaError_t error) { return describe((int)error, false); }
CUresult cuGetErrorName(CUresult error, const char **text) {
    NEEDS_ROOM_CU(text);
    *text = describe((int)error, true);
    return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult error, const char **text) {
    NEEDS_ROOM_CU(text);
    *text = describe((int)error, false);
    return CUDA_SUCCESS;
}
