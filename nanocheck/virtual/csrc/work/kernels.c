/* Kernels: registered, and classified once by name. */
#include "work/kernels.h"
#include "base/locks.h"
#include "base/report.h"
#include "values/fill.h"
#include <stdlib.h>
#include <string.h>

static nc_kernel *table; /* open addressing by host function pointer; grows before it is half full */
static size_t slots, filled;

static nc_kernel *slot_of(nc_kernel *in, size_t size, const void *key) {
    size_t at = ((uintptr_t)key >> 4) * 0x9E3779B97F4A7C15u % size;
    while (in[at].key && in[at].key != key) at = (at + 1) % size;
    return &in[at];
}

static void grow(void) {
    size_t size = slots ? slots * 4 : 1 << 16;
    nc_kernel *bigger = calloc(size, sizeof *bigger);
    if (!bigger) nc_fatal("no memory for the table of kernels");
    for (size_t i = 0; i < slots; i++)
        if (table[i].key) *slot_of(bigger, size, table[i].key) = table[i];
    free(table);
    table = bigger;
    slots = size;
}

static nc_counter classify(const char *name) {
    if (strstr(name, "flash_fwd") || strstr(name, "flash_bwd")) return NC_FLASH;
    if (strstr(name, "fmha_cutlass") || strstr(name, "AttentionKernel")
        || strstr(name, "AttentionBackwardKernel"))
        return NC_EFFICIENT;
    return NC_LAUNCHES;
}

void nc_kernel_register(const void *function, const void *module, const char *name) {
    nc_lock(NC_LOCK_KERNELS);
    if (2 * ++filled > slots) grow();
    *slot_of(table, slots, function) =
        (nc_kernel){function, module, name, NULL, classify(name), nc_fill_width(name)};
    nc_unlock(NC_LOCK_KERNELS);
}

nc_kernel nc_kernel_find(const void *function) {
    nc_kernel found = {0};
    nc_lock(NC_LOCK_KERNELS);
    if (slots) found = *slot_of(table, slots, function);
    nc_unlock(NC_LOCK_KERNELS);
    return found;
}

/* What it writes is found at its first launch, outside the lock: a library that is being loaded holds
 * the loader's and waits for ours, and finding it may need the loader's. Two threads may both find it. */
const nc_writes *nc_kernel_writes(nc_kernel *k) {
    if (k->writes || !k->name) return k->writes;
    nc_writes *found = nc_writes_of(k->name);
    nc_lock(NC_LOCK_KERNELS);
    nc_kernel *slot = slot_of(table, slots, k->key);
    nc_writes *kept = slot->writes ? slot->writes : found;
    slot->writes = kept;
    nc_unlock(NC_LOCK_KERNELS);
    if (kept != found) free(found);
    return kept;
}
