/* The kernels that were registered. */
#ifndef NANOCHECK_KERNELS_H
#define NANOCHECK_KERNELS_H
#include "base/counters.h"
#include "values/writes.h"

typedef struct {
    const void *key;
    const void *module;
    const char *name;
    nc_writes *writes;
    nc_counter kind;
    int fill;
} nc_kernel;

NC_HIDDEN void nc_kernel_register(const void *function, const void *module, const char *name);
NC_HIDDEN nc_kernel nc_kernel_find(const void *function); /* all zero: not registered */
/* What it writes; found at its first launch. NULL: nobody knows its name. */
NC_HIDDEN const nc_writes *nc_kernel_writes(nc_kernel *kernel);

#endif
