/* Reductions of known values, element by element. */
#ifndef NANOCHECK_REDUCE_H
#define NANOCHECK_REDUCE_H
#include "base/base.h"

/* In the order of ncclDataType_t; eight bits of floating point are not computed. */
typedef enum {
    NC_INT8,
    NC_UINT8,
    NC_INT32,
    NC_UINT32,
    NC_INT64,
    NC_UINT64,
    NC_HALF,
    NC_FLOAT,
    NC_DOUBLE,
    NC_BFLOAT
} nc_number;
/* In the order of ncclRedOp_t. */
typedef enum { NC_SUM, NC_PRODUCT, NC_MOST, NC_LEAST, NC_AVERAGE } nc_reduction;

/* `count` elements of `parts` sources; the result is multiplied by `scale`. Integers wrap, as NCCL's; floating point is
 * summed as double and then rounded. `to` may be one of the sources. False: no such type. */
NC_HIDDEN bool nc_reduce(void *to, const char *const *sources, int parts, size_t count, nc_number type,
                         nc_reduction reduction, double scale);
/* One number; false: no such type. */
NC_HIDDEN bool nc_number_at(const void *at, nc_number type, double *value);

#endif
