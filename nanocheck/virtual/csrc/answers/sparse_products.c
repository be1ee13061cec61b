/* cuSPARSE's products, solves and sorts.
 *
 * How large their buffers are is not published: a product's counts as nothing, a sort's as that of a radix sort of its
 * keys (CUB keeps both columns and the permutation twice). Products of two sparse matrices (SpGEMM, csrgeam2) are not
 * answered: how many values come out is theirs to say, and memory follows.
 */
#include "answers/sparse.h"
#include "base/guesses.h"
#include "values/known.h"

typedef nc_sparse_status status;

static status told(size_t *room, size_t bytes) {
    if (!room) return SPARSE_INVALID_VALUE;
    *room = nc_guessed(NC_GUESS_SPARSE, bytes);
    return SPARSE_SUCCESS;
}
static status into(nc_sparse *h, const void *result) {
    const nc_matrix *m = nc_matrix_of(result);
    return m ? nc_sparse_computed(h, m) : SPARSE_INVALID_VALUE;
}

status cusparseSpMM_bufferSize(nc_sparse *h, int ta, int tb, void *alpha, void *a, void *b, void *beta,
                               void *c, cudaDataType type, int algorithm, size_t *room) {
    return told(room, 0);
}
status cusparseSpMM(nc_sparse *h, int ta, int tb, void *alpha, void *a, void *b, void *beta, void *c,
                    cudaDataType type, int algorithm, void *buffer) {
    return into(h, c);
}
status cusparseSpMV_bufferSize(nc_sparse *h, int ta, void *alpha, void *a, void *x, void *beta, void *y,
                               cudaDataType type, int algorithm, size_t *room) {
    return told(room, 0);
}
status cusparseSpMV(nc_sparse *h, int ta, void *alpha, void *a, void *x, void *beta, void *y,
                    cudaDataType type, int algorithm, void *buffer) {
    return into(h, y);
}
status cusparseSDDMM_bufferSize(nc_sparse *h, int ta, int tb, void *alpha, void *a, void *b, void *beta,
                                void *c, cudaDataType type, int algorithm, size_t *room) {
    return told(room, 0);
}
status cusparseSDDMM_preprocess(nc_sparse *h, int ta, int tb, void *alpha, void *a, void *b, void *beta,
                                void *c, cudaDataType type, int algorithm, void *buffer) {
    return nc_sparse_computed(h, NULL);
}
status cusparseSDDMM(nc_sparse *h, int ta, int tb, void *alpha, void *a, void *b, void *beta, void *c,
                     cudaDataType type, int algorithm, void *buffer) {
    return into(h, c);
}

/* ---- triangular solves: a plan without contents ---- */
#define PLAN(kind)                                    \
    status cusparse##kind##_createDescr(void **out) { \
        if (!out) return SPARSE_INVALID_VALUE;        \
        *out = nc_handle();                           \
        return SPARSE_SUCCESS;                        \
    }                                                 \
    status cusparse##kind##_destroyDescr(void *plan) { return SPARSE_SUCCESS; }
PLAN(SpSM)
PLAN(SpSV)
status cusparseSpSM_bufferSize(nc_sparse *h, int ta, int tb, void *alpha, void *a, void *b, void *c,
                               cudaDataType type, int algorithm, void *plan, size_t *room) {
    return told(room, 0);
}
status cusparseSpSM_analysis(nc_sparse *h, int ta, int tb, void *alpha, void *a, void *b, void *c,
                             cudaDataType type, int algorithm, void *plan, void *buffer) {
    return nc_sparse_computed(h, NULL);
}
status cusparseSpSM_solve(nc_sparse *h, int ta, int tb, void *alpha, void *a, void *b, void *c,
                          cudaDataType type, int algorithm, void *plan) {
    return into(h, c);
}
status cusparseSpSV_bufferSize(nc_sparse *h, int ta, void *alpha, void *a, void *x, void *y,
                               cudaDataType type, int algorithm, void *plan, size_t *room) {
    return told(room, 0);
}
status cusparseSpSV_analysis(nc_sparse *h, int ta, void *alpha, void *a, void *x, void *y, cudaDataType type,
                             int algorithm, void *plan, void *buffer) {
    return nc_sparse_computed(h, NULL);
}
status cusparseSpSV_solve(nc_sparse *h, int ta, void *alpha, void *a, void *x, void *y, cudaDataType type,
                          int algorithm, void *plan) {
    return into(h, y);
}

/* ---- indices ---- */
static status indices(nc_sparse *h, void *first, void *second) {
    nc_known_lose(first);
    nc_known_lose(second);
    return nc_sparse_computed(h, NULL);
}
static size_t sort_bytes(int nonzeros) { return nonzeros > 0 ? (size_t)nonzeros * 2 * 3 * sizeof(int) : 0; }

status cusparseXcoo2csr(nc_sparse *h, const int *rows, int nonzeros, int m, int *offsets, int base) {
    return indices(h, offsets, NULL);
}
status cusparseCreateIdentityPermutation(nc_sparse *h, int n, int *p) { return indices(h, p, NULL); }
status cusparseXcoosort_bufferSizeExt(nc_sparse *h, int m, int n, int nonzeros, const int *rows,
                                      const int *columns, size_t *room) {
    return told(room, sort_bytes(nonzeros));
}
status cusparseXcoosortByRow(nc_sparse *h, int m, int n, int nonzeros, int *rows, int *columns, int *p,
                             void *buffer) {
    nc_known_lose(p);
    return indices(h, rows, columns);
}
status cusparseXcsrsort_bufferSizeExt(nc_sparse *h, int m, int n, int nonzeros, const int *offsets,
                                      const int *columns, size_t *room) {
    return told(room, sort_bytes(nonzeros));
}
status cusparseXcsrsort(nc_sparse *h, int m, int n, int nonzeros, void *description, const int *offsets,
                        int *columns, int *p, void *buffer) {
    return indices(h, columns, p);
}
/* What a matrix is said to be: nothing here depends on it. */
status cusparseCreateMatDescr(void **out) {
    if (!out) return SPARSE_INVALID_VALUE;
    *out = nc_handle();
    return SPARSE_SUCCESS;
}
status cusparseDestroyMatDescr(void *d) { return SPARSE_SUCCESS; }
status cusparseSetMatType(void *d, int type) { return SPARSE_SUCCESS; }
status cusparseSetMatIndexBase(void *d, int base) { return SPARSE_SUCCESS; }
status cusparseSetMatFillMode(void *d, int mode) { return SPARSE_SUCCESS; }
status cusparseSetMatDiagType(void *d, int type) { return SPARSE_SUCCESS; }
