/* The card of this process, read from NANOCHECK_CARD the first time CUDA asks for it.
 *
 * A fork server preloads PyTorch before any card is chosen, so nothing is read at load time; there the
 * variable says "pending". PyTorch remembers how many cards it once saw, so a pending one counts.
 * The text is "key=value" pairs joined by newlines; nanocheck/virtual/card.py writes it.
 */
#include "nc.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static nc_card card;
static bool ready;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const struct {
    const char *key;
    size_t offset;
    int kind;
} FIELDS[] = {
#define SIZE(name) \
    { #name, offsetof(nc_card, name), 's' }
#define INT(name) \
    { #name, offsetof(nc_card, name), 'i' }
    SIZE(total_bytes),
    SIZE(context_bytes),
    SIZE(reserve_bytes),
    SIZE(copy_limit_bytes),
    INT(major),
    INT(minor),
    INT(sms),
    INT(threads_per_sm),
    INT(blocks_per_sm),
    INT(registers_per_sm),
    INT(shared_per_block),
    INT(shared_per_block_optin),
    INT(shared_per_sm),
    INT(l2_bytes),
    INT(bus_bits),
    INT(clock_khz),
    INT(memory_khz),
};
enum { FIELD_COUNT = sizeof FIELDS / sizeof *FIELDS };

static void set_field(const char *key, const char *value, bool *seen) {
    if (!strcmp(key, "name")) {
        snprintf(card.name, sizeof card.name, "%s", value);
        return;
    }
    for (int i = 0; i < FIELD_COUNT; i++) {
        if (strcmp(key, FIELDS[i].key)) continue;
        char *end;
        unsigned long long number = strtoull(value, &end, 10);
        if (*end || end == value) nc_fatal("NANOCHECK_CARD: %s=%s is not a number", key, value);
        if (FIELDS[i].kind == 's') *(size_t *)((char *)&card + FIELDS[i].offset) = number;
        else *(int *)((char *)&card + FIELDS[i].offset) = (int)number;
        seen[i] = true;
        return;
    }
    nc_fatal("NANOCHECK_CARD: unknown key %s", key);
}

static void read_card(const char *text) {
    bool seen[FIELD_COUNT] = {false};
    char *copy = strdup(text), *rest = copy, *line;
    if (!copy) nc_fatal("NANOCHECK_CARD: out of memory");
    while ((line = strsep(&rest, "\n"))) {
        char *value = strchr(line, '=');
        if (!*line) continue;
        if (!value) nc_fatal("NANOCHECK_CARD: expected key=value, found %s", line);
        *value++ = 0;
        set_field(line, value, seen);
    }
    free(copy);
    for (int i = 0; i < FIELD_COUNT; i++)
        if (!seen[i]) nc_fatal("NANOCHECK_CARD: %s is missing", FIELDS[i].key);
}

const nc_card *nc_card_get(void) {
    if (__atomic_load_n(&ready, __ATOMIC_ACQUIRE)) return &card;
    pthread_mutex_lock(&lock);
    const char *text = getenv("NANOCHECK_CARD");
    if (!ready && text && *text && strcmp(text, NC_PENDING)) {
        read_card(text);
        __atomic_store_n(&ready, true, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&lock);
    return ready ? &card : NULL;
}

bool nc_card_pending(void) {
    const char *text = getenv("NANOCHECK_CARD");
    return text && !strcmp(text, NC_PENDING);
}

int nc_attribute(int attribute) {
    const nc_card *c = nc_card_get();
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
