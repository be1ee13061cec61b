/* What the files of libnvidia-ml share. Numbers and field layouts follow NVIDIA's NVML API reference. */
#ifndef NANOCHECK_NVML_H
#define NANOCHECK_NVML_H
#include <stdbool.h>
#define NC_HIDDEN __attribute__((visibility("hidden")))

/* An answer has the signature that NVIDIA gave the function, whatever of it is looked at. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

enum {
    OK = 0,
    UNINITIALIZED = 1,
    INVALID = 2,
    UNSUPPORTED = 3,
    NOT_FOUND = 6,
    SMALL = 7,
    NO_DRIVER = 9,
    NO_LIBRARY = 12,
    UNKNOWN = 999
};

NC_HIDDEN bool nc_nvml_initialized(void);
/* Every function but nvmlInit and nvmlErrorString begins with it. */
#define NEEDS_INIT \
    if (!nc_nvml_initialized()) return UNINITIALIZED

/* A device's handle is the machine's number of the card, whatever CUDA_VISIBLE_DEVICES says, and this. */
enum { FIRST_HANDLE = 0x20 };
NC_HIDDEN unsigned nc_nvml_index(const void *device);
NC_HIDDEN bool nc_nvml_is(const void *device);
#define NEEDS_DEVICE(device) \
    NEEDS_INIT;              \
    if (!nc_nvml_is(device)) return INVALID

/* What the virtual GPU itself says of a card; 0 where there is none yet. The attribute has CUDA's number. */
NC_HIDDEN int nc_nvml_attribute(const void *device, int attribute);
NC_HIDDEN int nc_nvml_links(const void *device);
NC_HIDDEN int nc_nvml_peers(const void *device);

#endif
