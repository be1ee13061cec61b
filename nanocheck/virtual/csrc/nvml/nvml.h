/* What the two files of libnvidia-ml share. Field layouts follow NVIDIA's NVML API reference. */
#ifndef NANOCHECK_NVML_H
#define NANOCHECK_NVML_H
#define NC_HIDDEN __attribute__((visibility("hidden")))

/* An answer has the signature that NVIDIA gave the function, whatever of it is looked at. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

enum { OK = 0, UNSUPPORTED = 3, NOT_FOUND = 6, SMALL = 7 };

/* cuDeviceGetAttribute of the virtual GPU; the fallback where there is none. */
NC_HIDDEN int nc_nvml_of_card(int attribute, int fallback);

#endif
