/* What monitors ask for. Nothing is executed, so nothing is busy; there is no sensor for power or fans.
 *
 * Attributes of the card, by CUDA's numbers: 13 and 36 are clocks in kHz, 75 and 76 the capability.
 */
#include "nvml/nvml.h"
#include <string.h>

int nvmlDeviceGetUtilizationRates(void *d, unsigned *gpu_and_memory) {
    NEEDS_INIT;
    gpu_and_memory[0] = gpu_and_memory[1] = 0;
    return OK;
}
int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *celsius) {
    NEEDS_INIT;
    *celsius = 30;
    return OK;
}
int nvmlDeviceGetPowerUsage(void *d, unsigned *milliwatts) {
    NEEDS_INIT;
    *milliwatts = 0;
    return OK;
}
int nvmlDeviceGetClockInfo(void *d, int type, unsigned *mhz) {
    NEEDS_INIT;
    *mhz = (unsigned)nc_nvml_attribute(d, type == 2 ? 36 : 13) / 1000;
    return OK;
}
int nvmlDeviceGetMaxClockInfo(void *d, int type, unsigned *mhz) {
    return nvmlDeviceGetClockInfo(d, type, mhz);
}
int nvmlDeviceGetCudaComputeCapability(void *d, int *major, int *minor) {
    NEEDS_INIT;
    *major = nc_nvml_attribute(d, 75);
    *minor = nc_nvml_attribute(d, 76);
    return OK;
}
int nvmlDeviceGetIndex(void *d, unsigned *index) {
    NEEDS_INIT;
    *index = nc_nvml_index(d);
    return OK;
}
int nvmlDeviceGetMinorNumber(void *d, unsigned *number) {
    NEEDS_INIT;
    *number = nc_nvml_index(d);
    return OK;
}
int nvmlDeviceGetPersistenceMode(void *d, int *mode) {
    NEEDS_INIT;
    *mode = 0;
    return OK;
}
int nvmlDeviceGetComputeMode(void *d, int *mode) {
    NEEDS_INIT;
    *mode = 0;
    return OK;
}
int nvmlDeviceGetPerformanceState(void *d, int *state) {
    NEEDS_INIT;
    *state = 0;
    return OK;
}
int nvmlDeviceGetCpuAffinity(void *d, unsigned words, unsigned long *set) { /* every processor */
    NEEDS_INIT;
    memset(set, 0xff, words * sizeof *set);
    return OK;
}
#define NOT_OFFERED(name, ...)       \
    int name(void *d, __VA_ARGS__) { \
        NEEDS_INIT;                  \
        return UNSUPPORTED;          \
    }
NOT_OFFERED(nvmlDeviceGetFanSpeed, unsigned *percent)
NOT_OFFERED(nvmlDeviceGetPowerManagementLimit, unsigned *milliwatts)
NOT_OFFERED(nvmlDeviceGetEnforcedPowerLimit, unsigned *milliwatts)
NOT_OFFERED(nvmlDeviceGetTotalEnergyConsumption, unsigned long long *millijoules)
NOT_OFFERED(nvmlDeviceGetMigMode, unsigned *now, unsigned *later)
NOT_OFFERED(nvmlDeviceGetEccMode, int *now, int *later)
NOT_OFFERED(nvmlDeviceGetGpuFabricInfoV, void *info)
