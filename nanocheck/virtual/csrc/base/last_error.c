/* The thread's last error. */
#include "base/last_error.h"

__thread cudaError_t nc_last_error = cudaSuccess;
