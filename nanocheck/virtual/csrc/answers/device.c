/* Devices: the machine's cards, their properties, and the small talk around them. */
#include "answers/answers.h"
#include "base/clock.h"
#include "base/machine.h"
#include "memory/arena.h"
#include "memory/budget.h"
#include "memory/mappings.h"
#include "memory/owners.h"
#include "work/capture.h"
#include "work/collectives.h"
#include <stdio.h>
#include <string.h>

cudaError_t cudaGetDeviceCount(int *count) {
    NEEDS_ROOM(count);
    *count = nc_machine_cards();
    return *count ? cudaSuccess : nc_fail(cudaErrorNoDevice);
}
cudaError_t cudaGetDevice(int *device) {
    NEEDS_ROOM(device);
    *device = nc_machine_current();
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
    if (!nc_card_get()) return nc_fail(cudaErrorNoDevice);
    if (!nc_machine_has(device)) return nc_fail(cudaErrorInvalidDevice);
    if (!nc_budget_enter(nc_machine_slot(device))) return nc_fail(cudaErrorMemoryAllocation);
    nc_machine_use(device);
    return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize(void) {
    if (nc_capture_forbids()) return nc_fail(cudaErrorStreamCaptureUnsupported);
    nc_host_waits();
    nc_clock_waited(0);
    return cudaSuccess;
}
/* Whatever the process holds of the current card is freed; its streams and events are none any more, on a machine
 * with several cards those of the others with them: a stream has no card here. */
static void free_one(void *address) {
    if (nc_arena_of(address) != NC_DEVICE || nc_owner_of(address) == nc_machine_here()) cudaFree(address);
}
static void forget_stream(void *stream) { nc_object_delete(stream, NC_STREAM); }
static void forget_event(void *event) { cudaEventDestroy(event); }
cudaError_t cudaDeviceReset(void) {
    if (nc_capture_forbids()) return nc_fail(cudaErrorStreamCaptureUnsupported);
    nc_mappings_reset(nc_machine_here());
    nc_arena_each(NC_DEVICE, NC_ALLOCATION, free_one);
    nc_arena_each(NC_MANAGED, NC_ALLOCATION, free_one);
    nc_objects_each(NC_EVENT, forget_event);
    nc_objects_each(NC_STREAM, forget_stream);
    return cudaSuccess;
}
cudaError_t cudaDeviceSetLimit(enum cudaLimit limit, size_t value) { return cudaSuccess; }
cudaError_t cudaDeviceSetCacheConfig(enum cudaFuncCache config) { return cudaSuccess; }
cudaError_t cudaSetDeviceFlags(unsigned flags) { return cudaSuccess; }
cudaError_t cudaGetDeviceFlags(unsigned *flags) {
    NEEDS_ROOM(flags);
    *flags = 0;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char *text, int length, int device) {
    NEEDS_ROOM(text);
    if (!nc_machine_has(device)) return nc_fail(cudaErrorInvalidDevice);
    snprintf(text, (size_t)length, "0000:%02x:00.0", nc_machine_slot(device) + 1);
    return cudaSuccess;
}
cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
    NEEDS_ROOM(least, greatest);
    *least = 0;
    *greatest = -5;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device) {
    NEEDS_ROOM(p);
    if (!nc_card_get()) return nc_fail(cudaErrorNoDevice);
    if (!nc_machine_has(device)) return nc_fail(cudaErrorInvalidDevice);
    const nc_card *card = nc_card_of(nc_machine_slot(device));
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "%s", card->name);
    memcpy(p->uuid.bytes, "nanocheckvirtual", sizeof p->uuid.bytes);
    p->uuid.bytes[sizeof p->uuid.bytes - 1] ^= (char)nc_machine_slot(device);
    p->totalGlobalMem = card->total_bytes;
    p->sharedMemPerBlock = (size_t)card->shared_per_block;
    p->sharedMemPerBlockOptin = (size_t)card->shared_per_block_optin;
    p->sharedMemPerMultiprocessor = (size_t)card->shared_per_sm;
    p->reservedSharedMemPerBlock = (size_t)nc_attribute_of(card, cudaDevAttrReservedSharedMemoryPerBlock);
    p->regsPerBlock = 65536;
    p->regsPerMultiprocessor = card->registers_per_sm;
    p->warpSize = 32;
    p->memPitch = 2147483647;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 2147483647;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->totalConstMem = 65536;
    p->major = card->major;
    p->minor = card->minor;
    p->multiProcessorCount = card->sms;
    p->maxThreadsPerMultiProcessor = card->threads_per_sm;
    p->maxBlocksPerMultiProcessor = card->blocks_per_sm;
    p->l2CacheSize = card->l2_bytes;
    p->persistingL2CacheMaxSize = nc_attribute_of(card, cudaDevAttrMaxPersistingL2CacheSize);
    p->memoryBusWidth = card->bus_bits;
    p->textureAlignment = 512;
    p->texturePitchAlignment = 32;
    p->asyncEngineCount = 2;
    p->pciBusID = nc_machine_slot(device) + 1;
    p->canMapHostMemory = p->concurrentKernels = p->unifiedAddressing = p->managedMemory = 1;
    p->concurrentManagedAccess = p->streamPrioritiesSupported = p->globalL1CacheSupported = 1;
    p->localL1CacheSupported = p->cooperativeLaunch = p->memoryPoolsSupported = 1;
    p->computePreemptionSupported = p->hostRegisterSupported = 1;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    NEEDS_ROOM(value);
    if (!nc_card_get()) return nc_fail(cudaErrorNoDevice);
    if (!nc_machine_has(device)) return nc_fail(cudaErrorInvalidDevice);
    if (attribute < 1 || attribute >= cudaDevAttrMax) return nc_fail(cudaErrorInvalidValue);
    int slot = nc_machine_slot(device);
    *value = attribute == cudaDevAttrPciBusId ? slot + 1 : nc_attribute_of(nc_card_of(slot), attribute);
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
    NEEDS_ROOM(version);
    *version = CUDART_VERSION;
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *version) {
    NEEDS_ROOM(version);
    *version = CUDART_VERSION;
    return cudaSuccess;
}
cudaError_t cudaProfilerStart(void) { return cudaSuccess; }
cudaError_t cudaProfilerStop(void) { return cudaSuccess; }
