/* What the card answers for each attribute of CUDA; those of runtime and driver share their numbers. */
#include "base/card.h"

int nc_attribute_of(const nc_card *c, int attribute) {
    switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY: return 1024;
    case cudaDevAttrMaxBlockDimZ: return 64;
    case cudaDevAttrMaxGridDimX: return 2147483647;
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ: return 65535;
    case cudaDevAttrMaxSharedMemoryPerBlock: return c->shared_per_block;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: return c->shared_per_block_optin;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: return c->shared_per_sm;
    case cudaDevAttrReservedSharedMemoryPerBlock: return c->major >= 8 ? 1024 : 0;
    case cudaDevAttrTotalConstantMemory: return 65536;
    case cudaDevAttrWarpSize: return 32;
    case cudaDevAttrMaxRegistersPerBlock: return 65536;
    case cudaDevAttrMaxRegistersPerMultiprocessor: return c->registers_per_sm;
    case cudaDevAttrClockRate: return c->clock_khz;
    case cudaDevAttrMemoryClockRate: return c->memory_khz;
    case cudaDevAttrGlobalMemoryBusWidth: return c->bus_bits;
    case cudaDevAttrL2CacheSize: return c->l2_bytes;
    case cudaDevAttrMaxPersistingL2CacheSize: return c->major >= 8 ? c->l2_bytes / 4 * 3 : 0;
    case cudaDevAttrMultiProcessorCount: return c->sms;
    case cudaDevAttrMaxThreadsPerMultiProcessor: return c->threads_per_sm;
    case cudaDevAttrMaxBlocksPerMultiprocessor: return c->blocks_per_sm;
    case cudaDevAttrComputeCapabilityMajor: return c->major;
    case cudaDevAttrComputeCapabilityMinor: return c->minor;
    case cudaDevAttrTextureAlignment: return 512;
    case cudaDevAttrTexturePitchAlignment: return 32;
    case cudaDevAttrAsyncEngineCount: return 2;
    case cudaDevAttrPciBusId: return 1;
    case cudaDevAttrGpuOverlap:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrCanMapHostMemory:
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrStreamPrioritiesSupported:
    case cudaDevAttrGlobalL1CacheSupported:
    case cudaDevAttrLocalL1CacheSupported:
    case cudaDevAttrManagedMemory:
    case cudaDevAttrConcurrentManagedAccess:
    case cudaDevAttrComputePreemptionSupported:
    case cudaDevAttrCooperativeLaunch:
    case cudaDevAttrHostRegisterSupported:
    case cudaDevAttrMemoryPoolsSupported: return 1;
    case CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED: return 1;
    default:
        return 0; /* a capability nobody offers: compute mode default, no integrated, no ECC, no fabric */
    }
}
