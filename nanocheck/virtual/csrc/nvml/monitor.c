/* What monitors ask for. Nothing is executed, so nothing is busy; there is no sensor for power or fans. */
#include "nvml/nvml.h"
#include <string.h>

int nvmlDeviceGetUtilizationRates(void *d, unsigned *gpu_and_memory) {
    gpu_and_memory[0] = gpu_and_memory[1] = 0;
    return OK;
}
int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *celsius) {
    *celsius = 30;
    return OK;
}
int nvmlDeviceGetPowerUsage(void *d, unsigned *milliwatts) {
    *milliwatts = 0;
    return OK;
}
int nvmlDeviceGetClockInfo(void *d, int type, unsigned *mhz) {
    *mhz = (unsigned)nc_nvml_of_card(type == 2 ? 36 : 13, 0) / 1000;
    return OK;
}
int nvmlDeviceGetMaxClockInfo(void *d, int type, unsigned *mhz) {
    return nvmlDeviceGetClockInfo(d, type, mhz);
}
int nvmlDeviceGetCudaComputeCapability(void *d, int *major, int *minor) {
    *major = nc_nvml_of_card(75, 0);
    *minor = nc_nvml_of_card(76, 0);
    return OK;
}
int nvmlDeviceGetIndex(void *d, unsigned *index) {
    *index = 0;
    return OK;
}
int nvmlDeviceGetMinorNumber(void *d, unsigned *number) {
    *number = 0;
    return OK;
}
int nvmlDeviceGetPersistenceMode(void *d, int *mode) {
    *mode = 0;
    return OK;
}
int nvmlDeviceGetComputeMode(void *d, int *mode) {
    *mode = 0;
    return OK;
}
int nvmlDeviceGetPerformanceState(void *d, int *state) {
    *state = 0;
    return OK;
}
int nvmlDeviceGetCpuAffinity(void *d, unsigned words, unsigned long *set) { /* every processor */

    memset(set, 0xff, words * sizeof *set);
    return OK;
}
#define NO_SENSOR(name) \
    int name(void *d, unsigned *value) { return UNSUPPORTED; }
NO_SENSOR(nvmlDeviceGetFanSpeed)
NO_SENSOR(nvmlDeviceGetPowerManagementLimit)
NO_SENSOR(nvmlDeviceGetEnforcedPowerLimit)
int nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *value) { return UNSUPPORTED; }
int nvmlDeviceGetMigMode(void *d, unsigned *now, unsigned *later) { return UNSUPPORTED; }
int nvmlDeviceGetEccMode(void *d, int *now, int *later) { return UNSUPPORTED; }
/* One card alone has no links to others. */
int nvmlDeviceGetNvLinkRemoteDeviceType(void *d, unsigned link, void *type) { return UNSUPPORTED; }
int nvmlDeviceGetNvLinkRemotePciInfo_v2(void *d, unsigned link, void *info) { return UNSUPPORTED; }
int nvmlDeviceGetGpuFabricInfoV(void *d, void *info) { return UNSUPPORTED; }
