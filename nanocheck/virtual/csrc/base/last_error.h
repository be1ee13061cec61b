/* The thread's last error, as the CUDA runtime keeps it. */
#ifndef NANOCHECK_LAST_ERROR_H
#define NANOCHECK_LAST_ERROR_H
#include "base/base.h"

extern __thread cudaError_t nc_last_error NC_HIDDEN;
static inline cudaError_t nc_fail(cudaError_t error) { return nc_last_error = error; }

#endif
