/* What the files about cuBLAS share.
 *
 * The libraries' headers want C++ ones that the wheels lack; the few types are declared here as the documentation
 * gives them.
 */
#ifndef NANOCHECK_ANSWERS_BLAS_H
#define NANOCHECK_ANSWERS_BLAS_H
#include "answers/answers.h"

typedef enum {
    BLAS_SUCCESS,
    BLAS_NOT_INITIALIZED = 1,
    BLAS_ALLOC_FAILED = 3,
    BLAS_INVALID_VALUE = 7
} nc_blas_status; /* cublasStatus_t */
typedef struct {
    cudaStream_t stream;
    int math_mode, pointer_mode, sms;
} nc_blas;

/* One product, or one of its kin, on the handle's stream; what lies at `result` (or nothing) is unknown afterwards. */
NC_HIDDEN nc_blas_status nc_blas_computed(nc_blas *handle, void *result);

#endif
