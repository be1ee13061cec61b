/* Whether memory that a copy or a memset is told about is there. */
#ifndef NANOCHECK_BOUNDS_H
#define NANOCHECK_BOUNDS_H
#include "base/base.h"

/* False: NULL, freed, beyond the end of its allocation, or reserved and not mapped. Of the program's own memory, which
 * CUDA knows nothing about, everything is true. */
NC_HIDDEN bool nc_within(const void *at, size_t bytes);

#endif
