/* The driver API: devices, the one context, and pointers. */
#include "answers/answers.h"
#include "answers/memory.h"
#include "base/machine.h"
#include <stdio.h>
#include <string.h>

static void *const CONTEXT = (void *)0x10;

CUresult cuInit(unsigned flags) { return nc_card_get() ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE; }
CUresult cuDriverGetVersion(int *version) {
    NEEDS_ROOM_CU(version);
    *version = CUDART_VERSION;
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetCount(int *count) {
    NEEDS_ROOM_CU(count);
    *count = nc_machine_cards();
    return CUDA_SUCCESS;
}
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    NEEDS_ROOM_CU(device);
    if (!nc_machine_has(ordinal)) return CUDA_ERROR_INVALID_DEVICE;
    *device = ordinal;
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    if (!nc_card_get()) return CUDA_ERROR_NO_DEVICE;
    if (!name || length < 1) return CUDA_ERROR_INVALID_VALUE;
    snprintf(name, (size_t)length, "%s", nc_card_get()->name);
    return CUDA_SUCCESS;
}
#undef cuDeviceTotalMem
CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    NEEDS_ROOM_CU(bytes);
    if (!nc_card_get()) return CUDA_ERROR_NO_DEVICE;
    *bytes = nc_card_get()->total_bytes;
    return CUDA_SUCCESS;
}
#undef cuDeviceGetUuid
CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) {
    NEEDS_ROOM_CU(uuid);
    memcpy(uuid->bytes, "nanocheckvirtual", 16);
    uuid->bytes[15] ^= (char)nc_machine_slot(device);
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device) { return cuDeviceGetUuid(uuid, device); }
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    NEEDS_ROOM_CU(value);
    /* the two enumerations share their numbers, by NVIDIA's own definition */
    if (!nc_card_get()) return CUDA_ERROR_NO_DEVICE;
    *value = nc_attribute((int)attribute);
    return CUDA_SUCCESS;
}
CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device) {
    NEEDS_ROOM_CU(major, minor);
    if (!nc_card_get()) return CUDA_ERROR_NO_DEVICE;
    *major = nc_card_get()->major;
    *minor = nc_card_get()->minor;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxGetState(CUdevice d, unsigned *flags, int *active) {
    NEEDS_ROOM_CU(active);
    if (flags) *flags = 0;
    *active = 1;
    return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice d) {
    NEEDS_ROOM_CU(context);
    *context = CONTEXT;
    return CUDA_SUCCESS;
}
#undef cuDevicePrimaryCtxRelease
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice d) { return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext *context) {
    NEEDS_ROOM_CU(context);
    *context = CONTEXT;
    return CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext context) { return CUDA_SUCCESS; }
#undef cuCtxPushCurrent
#undef cuCtxPopCurrent
CUresult cuCtxPushCurrent_v2(CUcontext context) { return CUDA_SUCCESS; }
CUresult cuCtxPopCurrent_v2(CUcontext *context) {
    if (context) *context = CONTEXT;
    return CUDA_SUCCESS;
}
CUresult cuCtxGetDevice(CUdevice *device) {
    NEEDS_ROOM_CU(device);
    return cudaGetDevice(device) == cudaSuccess ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}
CUresult cuCtxSynchronize(void) { return CUDA_SUCCESS; }
CUresult cuCtxGetLimit(size_t *value, CUlimit limit) {
    NEEDS_ROOM_CU(value);
    *value = 0;
    return CUDA_SUCCESS;
}
CUresult cuCtxSetLimit(CUlimit limit, size_t value) { return CUDA_SUCCESS; }

CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr pointer) {
    struct cudaPointerAttributes known;
    cudaPointerGetAttributes(&known, (const void *)pointer);
    if (known.type == cudaMemoryTypeUnregistered) return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: *(CUdeviceptr *)data = pointer; return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_CONTEXT: *(CUcontext *)data = CONTEXT; return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *(int *)data = 0; return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        *(unsigned *)data = known.type == cudaMemoryTypeHost ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
        return CUDA_SUCCESS;
    default: return CUDA_ERROR_NOT_SUPPORTED;
    }
}
