/* Virtual memory management (cuMemCreate, cuMemMap, ...): what expandable segments are made of.
 *
 * A handle is physical memory and is what the card's budget counts; an address range is only a
 * reservation. Memory is given back when its handle is released and nothing maps it any more.
 */
#include "answers/answers.h"
#include "base/machine.h"
#include "memory/arena.h"
#include "memory/mappings.h"
#include "values/known.h"
#include <string.h>

static CUresult valid(bool done) { return done ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; }

CUresult cuMemGetAllocationGranularity(size_t *bytes, const CUmemAllocationProp *p,
                                       CUmemAllocationGranularity_flags o) {
    NEEDS_ROOM_CU(bytes);
    *bytes = NC_GRANULE;
    return CUDA_SUCCESS;
}
CUresult cuMemAddressReserve(CUdeviceptr *address, size_t bytes, size_t alignment, CUdeviceptr wish,
                             unsigned long long flags) {
    NEEDS_ROOM_CU(address);
    char *taken = nc_arena_take(NC_DEVICE, NC_RESERVATION, bytes);
    if (!taken) return bytes ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
    *address = (CUdeviceptr)taken;
    return CUDA_SUCCESS;
}
CUresult cuMemAddressFree(CUdeviceptr address, size_t bytes) {
    return valid(nc_unreserve((char *)address, bytes));
}
CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes, const CUmemAllocationProp *p,
                     unsigned long long flags) {
    NEEDS_ROOM_CU(handle);
    if (!nc_card_get()) return CUDA_ERROR_NO_DEVICE;
    if (!bytes || bytes % NC_GRANULE) return CUDA_ERROR_INVALID_VALUE;
    int at = p && p->location.type == CU_MEM_LOCATION_TYPE_DEVICE ? p->location.id : nc_machine_current();
    if (!nc_machine_has(at)) return CUDA_ERROR_INVALID_DEVICE;
    void *memory = nc_physical_new(nc_machine_slot(at), bytes);
    if (!memory) return CUDA_ERROR_OUT_OF_MEMORY;
    *handle = (CUmemGenericAllocationHandle)(uintptr_t)memory;
    return CUDA_SUCCESS;
}
CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
    return valid(nc_physical_release((void *)(uintptr_t)handle));
}
CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,
                  unsigned long long flags) {
    return valid(nc_map((char *)address, bytes, offset, (void *)(uintptr_t)handle));
}
CUresult cuMemSetAccess(CUdeviceptr address, size_t bytes, const CUmemAccessDesc *access, size_t count) {
    return CUDA_SUCCESS;
}
CUresult cuMemUnmap(CUdeviceptr address, size_t bytes) {
    if (!nc_unmap((char *)address, bytes)) return CUDA_ERROR_INVALID_VALUE;
    nc_known_drop((void *)address, bytes);
    nc_arena_decommit((char *)address, bytes);
    return CUDA_SUCCESS;
}
#undef cuMemGetAddressRange
CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr inside) {
    size_t size;
    char *head = nc_arena_head(NC_DEVICE, (void *)inside, &size);
    if (!head) return CUDA_ERROR_NOT_FOUND;
    if (base) *base = (CUdeviceptr)head;
    if (bytes) *bytes = size;
    return CUDA_SUCCESS;
}
CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *h, void *address) {
    return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *p, CUmemGenericAllocationHandle h) {
    NEEDS_ROOM_CU(p);
    int slot = nc_physical_slot((void *)(uintptr_t)h);
    if (slot < 0) return CUDA_ERROR_INVALID_VALUE;
    memset(p, 0, sizeof *p);
    p->location.id = nc_machine_ordinal(slot);
    p->type = CU_MEM_ALLOCATION_TYPE_PINNED;
    p->location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    return CUDA_SUCCESS;
}
/* Multicast and green contexts belong to several cards: looked up by PyTorch, refused when called. */
CUresult cuMulticastCreate(CUmemGenericAllocationHandle *h, const CUmulticastObjectProp *p) {
    return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult cuMulticastAddDevice(CUmemGenericAllocationHandle h, CUdevice d) { return CUDA_ERROR_NOT_SUPPORTED; }
CUresult cuMulticastBindMem(CUmemGenericAllocationHandle h, size_t o, CUmemGenericAllocationHandle m,
                            size_t mo, size_t n, unsigned long long f) {
    return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult cuMulticastUnbind(CUmemGenericAllocationHandle h, CUdevice d, size_t o, size_t n) {
    return CUDA_ERROR_NOT_SUPPORTED;
}
