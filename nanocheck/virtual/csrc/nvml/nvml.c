/* libnvidia-ml, as far as PyTorch asks it: how much memory this process holds on the card.
 *
 * A library of its own, since programs open it by its own name. It is preloaded beside the virtual
 * GPU and asks that for every figure. Field layouts follow NVIDIA's NVML API reference.
 */
#define _GNU_SOURCE
#include "nvml/nvml.h"
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

typedef struct {
    unsigned pid;
    unsigned long long used;
    unsigned gpu, compute;
} process;
typedef struct {
    unsigned long long total, free, used;
} memory;
typedef struct {
    unsigned version;
    unsigned long long total, reserved, free, used;
} memory_v2;

static int (*count_devices)(int *);
static int (*memory_info)(size_t *, size_t *);
static size_t (*process_bytes)(void);
static int (*total_memory)(size_t *, int);
static int (*device_name)(char *, int, int);
static int (*attribute)(
    int *, int, int); /* cuDeviceGetAttribute: 13 and 36 are clocks in kHz, 75 and 76 the capability */

int nvmlInit_v2(void) {
    *(void **)&count_devices = dlsym(RTLD_DEFAULT, "cuDeviceGetCount");
    *(void **)&memory_info = dlsym(RTLD_DEFAULT, "cudaMemGetInfo");
    *(void **)&process_bytes = dlsym(RTLD_DEFAULT, "nanocheck_process_bytes");
    *(void **)&total_memory = dlsym(RTLD_DEFAULT, "cuDeviceTotalMem_v2");
    *(void **)&device_name = dlsym(RTLD_DEFAULT, "cuDeviceGetName");
    *(void **)&attribute = dlsym(RTLD_DEFAULT, "cuDeviceGetAttribute");
    int count = 0;
    if (!process_bytes || !count_devices) return 12; /* LIBRARY_NOT_FOUND */
    count_devices(&count);
    return count ? OK : 9; /* DRIVER_NOT_LOADED */
}
int nvmlInit(void) { return nvmlInit_v2(); }
int nvmlInitWithFlags(unsigned flags) { return nvmlInit_v2(); }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int error) { return error ? "error of the virtual GPU" : "Success"; }
int nvmlDeviceGetCount_v2(unsigned *count) {
    int n = 0;
    count_devices(&n);
    *count = (unsigned)n;
    return OK;
}
static int only(unsigned index, void **device) {
    *device = (void *)0x20;
    return index ? NOT_FOUND : OK;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { return only(index, device); }
int nvmlDeviceGetHandleByIndex(unsigned index, void **device) { return only(index, device); }
int nvmlDeviceGetHandleByPciBusId_v2(const char *id, void **device) { return only(0, device); }
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) { return only(0, device); }
int nvmlDeviceGetUUID(void *device, char *text, unsigned length) {
    snprintf(text, length, "GPU-6e616e6f-6368-6563-6b76-69727475616c");
    return OK;
}
int nvmlDeviceGetName(void *device, char *text, unsigned length) { return device_name(text, (int)length, 0); }
int nvmlDeviceGetMemoryInfo(void *device, memory *info) {
    size_t available = 0, total = 0;

    memory_info(&available, &total);
    *info = (memory){total, available, total - available};
    return OK;
}
int nvmlDeviceGetMemoryInfo_v2(void *device, memory_v2 *info) {
    memory plain;
    nvmlDeviceGetMemoryInfo(device, &plain);
    *info = (memory_v2){info->version, plain.total, 0, plain.free, plain.used};
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, process *list) {
    if (*count < 1 || !list) {
        *count = 1;
        return SMALL;
    }
    *count = 1;
    list[0] = (process){(unsigned)getpid(), process_bytes(), 0xffffffffu, 0xffffffffu};
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v2(void *d, unsigned *n, process *l) {
    return nvmlDeviceGetComputeRunningProcesses_v3(d, n, l);
}
/* The first version's entries end after `used`; PyTorch's header maps the plain name to the third. */
int nvmlDeviceGetComputeRunningProcesses(void *d, unsigned *n, process *l) {
    return nvmlDeviceGetComputeRunningProcesses_v3(d, n, l);
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    *version = 13000;
    return OK;
}
int nvmlSystemGetCudaDriverVersion(int *version) { return nvmlSystemGetCudaDriverVersion_v2(version); }
int nvmlSystemGetDriverVersion(char *text, unsigned length) {
    snprintf(text, length, "580.00");
    return OK;
} /* a number: programs compare it */
int nvmlSystemGetNVMLVersion(char *text, unsigned length) { return nvmlSystemGetDriverVersion(text, length); }

int nc_nvml_of_card(int which, int fallback) {
    int value = 0;
    return attribute && !attribute(&value, which, 0) ? value : fallback;
}
int nvmlDeviceGetCount(unsigned *count) { return nvmlDeviceGetCount_v2(count); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *d, unsigned *count, process *list) {
    *count = 0;
    return OK;
}
