/* How often each kind of work was asked for; nanocheck reads it from the child (answers/introspection.c). */
#ifndef NANOCHECK_COUNTERS_H
#define NANOCHECK_COUNTERS_H
#include "base/base.h"

/* The order is that of _COUNTERS in the Python module beside csrc/; what it does not name stands last. */
typedef enum {
    NC_LAUNCHES,
    NC_FLASH,
    NC_EFFICIENT,
    NC_CUDNN,
    NC_MATMUL,
    NC_FILLS,
    NC_COPIES_SKIPPED,
    NC_CONVOLUTIONS,
    NC_WAITS,
    NC_SIZES_MADE_UP,
    NC_COUNTERS
} nc_counter;
NC_HIDDEN void nc_count(nc_counter counter);
NC_HIDDEN unsigned long long nc_counted(nc_counter counter);

#endif
