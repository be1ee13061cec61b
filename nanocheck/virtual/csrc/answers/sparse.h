/* What the files about cuSPARSE share; its types are declared as the documentation gives them. */
#ifndef NANOCHECK_ANSWERS_SPARSE_H
#define NANOCHECK_ANSWERS_SPARSE_H
#include "answers/answers.h"
#include <library_types.h>

typedef enum {
    SPARSE_SUCCESS,
    SPARSE_NOT_INITIALIZED,
    SPARSE_ALLOC_FAILED,
    SPARSE_INVALID_VALUE
} nc_sparse_status; /* cusparseStatus_t */
typedef struct {
    cudaStream_t stream;
    int pointer_mode;
} nc_sparse;
typedef struct { /* a sparse or dense matrix, or a vector */
    int64_t rows, columns, nonzeros;
    void *values;
} nc_matrix;

/* One product or solve, whose result (may be NULL) is unknown afterwards. */
NC_HIDDEN nc_sparse_status nc_sparse_computed(nc_sparse *handle, const nc_matrix *result);
NC_HIDDEN const nc_matrix *nc_matrix_of(const void *descriptor); /* NULL: it is none (any more) */

#endif
