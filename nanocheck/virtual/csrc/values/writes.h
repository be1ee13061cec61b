/* Which memory a kernel writes: what the rest of the library asks. */
#ifndef NANOCHECK_WRITES_H
#define NANOCHECK_WRITES_H
#include "values/effects.h"

/* NULL for a kernel that was never registered. */
NC_HIDDEN void nc_writes_lose(const nc_writes *writes, void **arguments);
/* The same, and what predicates answer. */
NC_HIDDEN void nc_writes_run(const nc_writes *writes, void **arguments);
/* A kernel of the driver API, whose parameters are words that nobody described: pointers to them, as Triton's
 * launcher keeps them, or all packed (cuLaunchKernel's `extra`). */
NC_HIDDEN void nc_writes_lose_unnamed(void **arguments);
NC_HIDDEN void nc_writes_lose_packed(void **extra);

#endif
