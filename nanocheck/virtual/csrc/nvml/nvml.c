/* libnvidia-ml, as far as PyTorch asks it: how much memory the processes hold of each card.
 *
 * A library of its own, since programs open it by its own name. It is preloaded beside the virtual
 * GPU and asks that for every figure.
 */
#define _GNU_SOURCE
#include "nvml/nvml.h"
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* nvmlProcessInfo_t since the second version; the first one's entries are 16 bytes and end after `used`. */
typedef struct {
    unsigned pid;
    unsigned long long used;
    unsigned gpu, compute;
} process;
enum { PROCESS_V1 = offsetof(process, gpu), PROCESS = sizeof(process) };
typedef struct {
    unsigned long long total, free, used;
} memory;
typedef struct {
    unsigned version;
    unsigned long long total, reserved, free, used;
} memory_v2;

/* The questions of answers/introspection.c. */
static int (*cards)(void);
static int (*driver_version)(int *);
static size_t (*total_bytes)(int);
static size_t (*left_bytes)(int);
static const char *(*name)(int);
static int (*attribute)(int, int);
static int (*links)(int);
static int (*peers)(int);
static int (*processes)(int, unsigned *, size_t *, int);
static int users; /* calls of nvmlInit less those of nvmlShutdown */

__attribute__((constructor)) static void find_virtual_gpu(void) {
    *(void **)&cards = dlsym(RTLD_DEFAULT, "nanocheck_machine_cards");
    *(void **)&driver_version = dlsym(RTLD_DEFAULT, "cuDriverGetVersion");
    *(void **)&total_bytes = dlsym(RTLD_DEFAULT, "nanocheck_card_total");
    *(void **)&left_bytes = dlsym(RTLD_DEFAULT, "nanocheck_card_left");
    *(void **)&name = dlsym(RTLD_DEFAULT, "nanocheck_card_name");
    *(void **)&attribute = dlsym(RTLD_DEFAULT, "nanocheck_card_attribute");
    *(void **)&links = dlsym(RTLD_DEFAULT, "nanocheck_card_links");
    *(void **)&peers = dlsym(RTLD_DEFAULT, "nanocheck_card_peers");
    *(void **)&processes = dlsym(RTLD_DEFAULT, "nanocheck_card_processes");
}

bool nc_nvml_initialized(void) { return __atomic_load_n(&users, __ATOMIC_RELAXED) > 0; }
unsigned nc_nvml_index(const void *device) { return (unsigned)((size_t)device - FIRST_HANDLE); }
bool nc_nvml_is(const void *device) { return nc_nvml_index(device) < (unsigned)cards(); }
static int slot_of(const void *device) { return (int)nc_nvml_index(device); }
int nc_nvml_attribute(const void *device, int which) { return attribute(slot_of(device), which); }
int nc_nvml_links(const void *device) { return links(slot_of(device)); }
int nc_nvml_peers(const void *device) { return peers(slot_of(device)); }

int nvmlInit_v2(void) {
    if (!cards || !processes) return NO_LIBRARY;
    if (!cards()) return NO_DRIVER;
    __atomic_add_fetch(&users, 1, __ATOMIC_RELAXED);
    return OK;
}
int nvmlInit(void) { return nvmlInit_v2(); }
int nvmlInitWithFlags(unsigned flags) { return nvmlInit_v2(); }
int nvmlShutdown(void) {
    int before = __atomic_load_n(&users, __ATOMIC_RELAXED);
    do {
        if (before <= 0) return UNINITIALIZED;
    } while (
        !__atomic_compare_exchange_n(&users, &before, before - 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return OK;
}
const char *nvmlErrorString(int error) { return error ? "error of the virtual GPU" : "Success"; }

int nvmlDeviceGetCount_v2(unsigned *count) {
    NEEDS_INIT;
    *count = (unsigned)cards();
    return OK;
}
int nvmlDeviceGetCount(unsigned *count) { return nvmlDeviceGetCount_v2(count); }
static int handle_of(unsigned index, void **device) {
    NEEDS_INIT;
    *device = (void *)(size_t)(FIRST_HANDLE + index);
    return nc_nvml_is(*device) ? OK : NOT_FOUND;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { return handle_of(index, device); }
int nvmlDeviceGetHandleByIndex(unsigned index, void **device) { return handle_of(index, device); }
/* Domain, bus, device and function: the bus is one more than the card's number. */
int nvmlDeviceGetHandleByPciBusId_v2(const char *id, void **device) {
    unsigned domain = 0, bus = 1;
    NEEDS_INIT;
    if (sscanf(id, "%x:%x", &domain, &bus) != 2 || !bus) return INVALID;
    return handle_of(bus - 1, device);
}
/* "nanocheckvirtual" in hexadecimal; the last byte tells the cards apart. */
static const char UUID[] = "GPU-6e616e6f-6368-6563-6b76-6972747561";
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    unsigned last = 0x6c;
    NEEDS_INIT;
    if (strncmp(uuid, UUID, sizeof UUID - 1) || sscanf(uuid + sizeof UUID - 1, "%x", &last) != 1)
        return NOT_FOUND;
    return handle_of(last ^ 0x6c, device);
}
int nvmlDeviceGetUUID(void *device, char *text, unsigned length) {
    NEEDS_INIT;
    snprintf(text, length, "%s%02x", UUID, 0x6c ^ nc_nvml_index(device));
    return OK;
}
int nvmlDeviceGetName(void *device, char *text, unsigned length) {
    NEEDS_INIT;
    if (!length) return SMALL;
    if (!nc_nvml_is(device)) return INVALID;
    snprintf(text, length, "%s", name(slot_of(device)));
    return OK;
}
int nvmlDeviceGetMemoryInfo(void *device, memory *info) {
    NEEDS_DEVICE(device);
    size_t available = left_bytes(slot_of(device)), total = total_bytes(slot_of(device));
    *info = (memory){total, available, total - available};
    return OK;
}
int nvmlDeviceGetMemoryInfo_v2(void *device, memory_v2 *info) {
    memory plain;
    int error = nvmlDeviceGetMemoryInfo(device, &plain);
    if (!error) *info = (memory_v2){info->version, plain.total, 0, plain.free, plain.used};
    return error;
}

enum { MOST_PROCESSES = 256 };
static int running(void *device, unsigned *count, void *list, size_t entry) {
    NEEDS_DEVICE(device);
    if (!count) return INVALID;
    unsigned pids[MOST_PROCESSES], room = *count;
    size_t bytes[MOST_PROCESSES];
    int found = processes(slot_of(device), pids, bytes, MOST_PROCESSES);
    *count = (unsigned)found;
    if (found && (room < *count || !list)) return SMALL;
    for (int i = 0; i < found; i++) {
        process one = {pids[i], bytes[i], 0xffffffffu, 0xffffffffu};
        memcpy((char *)list + (size_t)i * entry, &one, entry);
    }
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, void *list) {
    return running(device, count, list, PROCESS);
}
int nvmlDeviceGetComputeRunningProcesses_v2(void *device, unsigned *count, void *list) {
    return running(device, count, list, PROCESS);
}
/* NVIDIA's header maps the plain name to the third version; a program that asks for it by name gets the first. */
int nvmlDeviceGetComputeRunningProcesses(void *device, unsigned *count, void *list) {
    return running(device, count, list, PROCESS_V1);
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *device, unsigned *count, void *list) {
    NEEDS_INIT;
    *count = 0;
    return OK;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version) { /* what the driver itself says: 12080, 13000, ... */
    NEEDS_INIT;
    return driver_version(version) ? UNKNOWN : OK;
}
int nvmlSystemGetCudaDriverVersion(int *version) { return nvmlSystemGetCudaDriverVersion_v2(version); }
/* A number, because programs compare it, and one that is enough for CUDA 12 and 13; nvidia-smi says the same. */
int nvmlSystemGetDriverVersion(char *text, unsigned length) {
    NEEDS_INIT;
    snprintf(text, length, "580.00");
    return OK;
}
int nvmlSystemGetNVMLVersion(char *text, unsigned length) { return nvmlSystemGetDriverVersion(text, length); }
