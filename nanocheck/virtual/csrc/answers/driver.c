/* The driver API: devices, their contexts, and pointers. */
#include "answers/answers.h"
#include "answers/memory.h"
#include "base/machine.h"
#include "memory/budget.h"
#include <stdio.h>
#include <string.h>

/* Each card has one context, its primary one: a number behind which nothing lies. */
static CUcontext context_of(int ordinal) { return (CUcontext)(uintptr_t)(0x10 * (ordinal + 1)); }
static int ordinal_of(CUcontext context) { return (int)((uintptr_t)context / 0x10) - 1; }

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
    if (!nc_machine_has(device)) return CUDA_ERROR_INVALID_DEVICE;
    snprintf(name, (size_t)length, "%s", nc_card_of(nc_machine_slot(device))->name);
    return CUDA_SUCCESS;
}
#undef cuDeviceTotalMem
CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    NEEDS_ROOM_CU(bytes);
    if (!nc_card_get()) return CUDA_ERROR_NO_DEVICE;
    if (!nc_machine_has(device)) return CUDA_ERROR_INVALID_DEVICE;
    *bytes = nc_card_of(nc_machine_slot(device))->total_bytes;
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
    if (!nc_machine_has(device)) return CUDA_ERROR_INVALID_DEVICE;
    int slot = nc_machine_slot(device);
    *value = (int)attribute == (int)cudaDevAttrPciBusId ? slot + 1
                                                        : nc_attribute_of(nc_card_of(slot), (int)attribute);
    return CUDA_SUCCESS;
}
CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device) {
    NEEDS_ROOM_CU(major, minor);
    if (!nc_card_get()) return CUDA_ERROR_NO_DEVICE;
    if (!nc_machine_has(device)) return CUDA_ERROR_INVALID_DEVICE;
    *major = nc_card_of(nc_machine_slot(device))->major;
    *minor = nc_card_of(nc_machine_slot(device))->minor;
    return CUDA_SUCCESS;
}

/* Who asks wants to leave a card alone that it has not used: PyTorch does before it goes back to one. */
CUresult cuDevicePrimaryCtxGetState(CUdevice d, unsigned *flags, int *active) {
    NEEDS_ROOM_CU(active);
    if (!nc_machine_has(d)) return CUDA_ERROR_INVALID_DEVICE;
    if (flags) *flags = 0;
    *active = nc_budget_process(nc_machine_slot(d)) > 0;
    return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice d) {
    NEEDS_ROOM_CU(context);
    if (!nc_machine_has(d)) return CUDA_ERROR_INVALID_DEVICE;
    *context = context_of(d);
    return CUDA_SUCCESS;
}
#undef cuDevicePrimaryCtxRelease
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice d) { return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext *context) {
    NEEDS_ROOM_CU(context);
    *context = context_of(nc_machine_current());
    return CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext context) { /* none is that of the card which is current anyway */
    if (context && !nc_machine_has(ordinal_of(context))) return CUDA_ERROR_INVALID_CONTEXT;
    if (context) nc_machine_use(ordinal_of(context));
    return CUDA_SUCCESS;
}
#undef cuCtxPushCurrent
#undef cuCtxPopCurrent
static __thread int pushed[64], depth; /* the cards that were current before */
CUresult cuCtxPushCurrent_v2(CUcontext context) {
    int before = nc_machine_current();
    CUresult result = cuCtxSetCurrent(context);
    if (result == CUDA_SUCCESS && depth < 64) pushed[depth++] = before;
    return result;
}
CUresult cuCtxPopCurrent_v2(CUcontext *context) {
    if (context) *context = context_of(nc_machine_current());
    if (depth) nc_machine_use(pushed[--depth]);
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
    case CU_POINTER_ATTRIBUTE_CONTEXT: *(CUcontext *)data = context_of(known.device); return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *(int *)data = known.device; return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        *(unsigned *)data = known.type == cudaMemoryTypeHost ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
        return CUDA_SUCCESS;
    default: return CUDA_ERROR_NOT_SUPPORTED;
    }
}
