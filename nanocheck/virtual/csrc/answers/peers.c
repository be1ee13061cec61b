/* Whether cards reach each other's memory: NVLink or PCI Express, which consumer cards are refused by the driver.
 *
 * Nothing is counted for it: what mappings of a peer's memory take is not published.
 */
#include "answers/answers.h"
#include "base/locks.h"
#include "base/machine.h"

static bool reachable(int a, int b) {
    const nc_card *one = nc_card_of(nc_machine_slot(a)), *other = nc_card_of(nc_machine_slot(b));
    return a != b && one->peers && other->peers && one->major == other->major && one->minor == other->minor;
}

cudaError_t cudaDeviceCanAccessPeer(int *can, int a, int b) {
    NEEDS_ROOM(can);
    if (!nc_machine_has(a) || !nc_machine_has(b)) return nc_fail(cudaErrorInvalidDevice);
    *can = reachable(a, b);
    return cudaSuccess;
}
CUresult cuDeviceCanAccessPeer(int *can, CUdevice a, CUdevice b) {
    NEEDS_ROOM_CU(can);
    if (!nc_machine_has(a) || !nc_machine_has(b)) return CUDA_ERROR_INVALID_DEVICE;
    *can = reachable(a, b);
    return CUDA_SUCCESS;
}

static uint64_t enabled[NC_CARDS_MOST]; /* a bit for each peer that a card may read; under NC_LOCK_OBJECTS */

static bool change(int peer, bool wanted) { /* false: it was so before */
    uint64_t bit = (uint64_t)1 << peer, *peers = &enabled[nc_machine_current()];
    nc_lock(NC_LOCK_OBJECTS);
    bool differs = !(*peers & bit) == wanted;
    if (differs) *peers ^= bit;
    nc_unlock(NC_LOCK_OBJECTS);
    return differs;
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
    if (flags) return nc_fail(cudaErrorInvalidValue);
    if (!nc_machine_has(peer)) return nc_fail(cudaErrorInvalidDevice);
    if (!reachable(nc_machine_current(), peer)) return nc_fail(cudaErrorPeerAccessUnsupported);
    return change(peer, true) ? cudaSuccess : nc_fail(cudaErrorPeerAccessAlreadyEnabled);
}
cudaError_t cudaDeviceDisablePeerAccess(int peer) {
    if (!nc_machine_has(peer)) return nc_fail(cudaErrorInvalidDevice);
    return change(peer, false) ? cudaSuccess : nc_fail(cudaErrorPeerAccessNotEnabled);
}

/* What CUDA numbers the same for runtime and driver: 1 a rank of speed, 2 access, 3 atomics, 4 arrays. */
static bool attribute(int *value, int which, int a, int b) {
    bool near = reachable(a, b);
    switch (which) {
    case cudaDevP2PAttrPerformanceRank:
        *value = near && nc_card_of(nc_machine_slot(a))->links ? 0 : 1;
        return true;
    case cudaDevP2PAttrAccessSupported:
    case cudaDevP2PAttrCudaArrayAccessSupported: *value = near; return true;
    case cudaDevP2PAttrNativeAtomicSupported:
        *value = near && nc_card_of(nc_machine_slot(a))->links;
        return true;
    default: return false;
    }
}
cudaError_t cudaDeviceGetP2PAttribute(int *value, enum cudaDeviceP2PAttr which, int a, int b) {
    NEEDS_ROOM(value);
    if (!nc_machine_has(a) || !nc_machine_has(b) || a == b) return nc_fail(cudaErrorInvalidDevice);
    return attribute(value, (int)which, a, b) ? cudaSuccess : nc_fail(cudaErrorInvalidValue);
}
CUresult cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute which, CUdevice a, CUdevice b) {
    NEEDS_ROOM_CU(value);
    if (!nc_machine_has(a) || !nc_machine_has(b) || a == b) return CUDA_ERROR_INVALID_DEVICE;
    return attribute(value, (int)which, a, b) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
