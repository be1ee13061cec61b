/* Which memory a kernel writes: what the rest of the library asks. */
#ifndef NANOCHECK_WRITES_H
#define NANOCHECK_WRITES_H
#include "values/effects.h"

NC_HIDDEN void nc_writes_lose(const nc_writes *writes, void **arguments);
/* The same, and what predicates answer. */
NC_HIDDEN void nc_writes_run(const nc_writes *writes, void **arguments);
/* A kernel whose parameters nobody described. */
NC_HIDDEN void nc_writes_lose_unnamed(void **arguments);

#endif
