/* How the machine's cards are joined, as far as programs ask: PCI addresses, NVLink, the nearest common ancestor.
 *
 * The machine that is taken: one host bridge, so two cards meet there (level 30); those with NVLink reach each other
 * through switches, as in NVIDIA's HGX boards, where every link of every card ends in a switch.
 */
#include "nvml/nvml.h"
#include <stdio.h>
#include <string.h>

enum { SAME_BOARD = 0, SAME_HOST_BRIDGE = 30, LINK_TO_SWITCH = 2, P2P_OK = 0, P2P_NOT_SUPPORTED = 1 };
enum { SWITCH_BUS = 0xc0 };

typedef struct { /* nvmlPciInfo_t of the third version */
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char bus_id[32];
} pci;

static void fill(pci *info, unsigned bus) {
    memset(info, 0, sizeof *info);
    info->bus = bus;
    info->id = 0x10de; /* NVIDIA's number as a vendor; which product it is, nobody needs */
    snprintf(info->legacy, sizeof info->legacy, "0000:%02X:00.0", bus);
    snprintf(info->bus_id, sizeof info->bus_id, "00000000:%02X:00.0", bus);
}

int nvmlDeviceGetPciInfo_v3(void *d, pci *info) {
    NEEDS_DEVICE(d);
    if (!info) return INVALID;
    fill(info, nc_nvml_index(d) + 1);
    return OK;
}
int nvmlDeviceGetPciInfo(void *d, pci *info) { return nvmlDeviceGetPciInfo_v3(d, info); }

int nvmlDeviceGetTopologyCommonAncestor(void *a, void *b, int *level) {
    NEEDS_DEVICE(a);
    NEEDS_DEVICE(b);
    if (!level) return INVALID;
    *level = a == b ? SAME_BOARD : SAME_HOST_BRIDGE;
    return OK;
}

static bool same_kind(void *a, void *b) { /* compute capabilities, by CUDA's numbers 75 and 76 */
    return nc_nvml_attribute(a, 75) == nc_nvml_attribute(b, 75)
           && nc_nvml_attribute(a, 76) == nc_nvml_attribute(b, 76);
}

/* 0 reads, 1 writes, 2 NVLink, 3 atomics, 4 PCI Express (and 5 in newer headers) */
int nvmlDeviceGetP2PStatus(void *a, void *b, int which, int *status) {
    NEEDS_DEVICE(a);
    NEEDS_DEVICE(b);
    if (!status || a == b || which < 0 || which > 5) return INVALID;
    bool reachable = same_kind(a, b) && nc_nvml_peers(a) && nc_nvml_peers(b);
    bool linked = reachable && nc_nvml_links(a) && nc_nvml_links(b);
    *status = (which == 2 || which == 3 ? linked : reachable) ? P2P_OK : P2P_NOT_SUPPORTED;
    return OK;
}

static bool has_link(void *d, unsigned link) { return link < (unsigned)nc_nvml_links(d); }

int nvmlDeviceGetNvLinkState(void *d, unsigned link, int *active) {
    NEEDS_DEVICE(d);
    if (!active) return INVALID;
    if (!nc_nvml_links(d)) return UNSUPPORTED;
    if (!has_link(d, link)) return INVALID;
    *active = 1;
    return OK;
}
int nvmlDeviceGetNvLinkRemoteDeviceType(void *d, unsigned link, int *type) {
    NEEDS_DEVICE(d);
    if (!has_link(d, link)) return UNSUPPORTED;
    *type = LINK_TO_SWITCH;
    return OK;
}
int nvmlDeviceGetNvLinkRemotePciInfo_v2(void *d, unsigned link, pci *info) {
    NEEDS_DEVICE(d);
    if (!has_link(d, link)) return UNSUPPORTED;
    fill(info, SWITCH_BUS + link % 4);
    return OK;
}
/* 0: peer-to-peer; what else a link can do, nobody asked yet. */
int nvmlDeviceGetNvLinkCapability(void *d, unsigned link, int which, unsigned *can) {
    NEEDS_DEVICE(d);
    if (!can) return INVALID;
    if (!has_link(d, link)) return UNSUPPORTED;
    *can = which == 0;
    return OK;
}
int nvmlDeviceGetNvLinkVersion(void *d, unsigned link, unsigned *version) {
    NEEDS_DEVICE(d);
    if (!version) return INVALID;
    if (!has_link(d, link)) return UNSUPPORTED;
    int major = nc_nvml_attribute(d, 75); /* V100: 2, A100: 3, H100: 4, B200: 5 */
    *version = major == 7 ? 2 : major == 8 ? 3 : major == 9 ? 4 : 5;
    return OK;
}
