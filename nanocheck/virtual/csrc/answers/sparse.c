/* cuSPARSE: handles and descriptors of matrices. */
#include "answers/sparse.h"
#include "values/known.h"
#include "work/capture.h"

_Static_assert(sizeof(nc_matrix) <= NC_OBJECT_BYTES, "fits");
typedef nc_sparse_status status;

#define NEEDS(h) \
    if (!nc_object_is(h, NC_SPARSE)) return SPARSE_NOT_INITIALIZED

status cusparseCreate(nc_sparse **out) {
    if (!out) return SPARSE_INVALID_VALUE;
    return (*out = nc_object_new(NC_SPARSE)) ? SPARSE_SUCCESS : SPARSE_ALLOC_FAILED;
}
status cusparseDestroy(nc_sparse *h) {
    return nc_object_delete(h, NC_SPARSE) ? SPARSE_SUCCESS : SPARSE_NOT_INITIALIZED;
}
status cusparseSetStream(nc_sparse *h, cudaStream_t stream) {
    NEEDS(h);
    h->stream = stream;
    return SPARSE_SUCCESS;
}
status cusparseGetStream(nc_sparse *h, cudaStream_t *stream) {
    NEEDS(h);
    if (!stream) return SPARSE_INVALID_VALUE;
    *stream = h->stream;
    return SPARSE_SUCCESS;
}
status cusparseSetPointerMode(nc_sparse *h, int mode) {
    NEEDS(h);
    h->pointer_mode = mode;
    return SPARSE_SUCCESS;
}
const char *cusparseGetErrorString(status s) { return s ? "error of the virtual GPU" : "success"; }

status nc_sparse_computed(nc_sparse *h, const nc_matrix *result) {
    NEEDS(h);
    if (result) nc_known_lose(result->values);
    nc_count(NC_LAUNCHES);
    nc_capture_node(h->stream);
    return SPARSE_SUCCESS;
}

/* ---- descriptors ---- */
const nc_matrix *nc_matrix_of(const void *descriptor) {
    return nc_object_is(descriptor, NC_SPARSE_MATRIX) ? descriptor : NULL;
}
static status describe(nc_matrix **out, int64_t rows, int64_t columns, int64_t nonzeros, void *values) {
    if (!out || rows < 0 || columns < 0 || nonzeros < 0) return SPARSE_INVALID_VALUE;
    if (!(*out = nc_object_new(NC_SPARSE_MATRIX))) return SPARSE_ALLOC_FAILED;
    **out = (nc_matrix){rows, columns, nonzeros, values};
    return SPARSE_SUCCESS;
}
status cusparseCreateCsr(nc_matrix **out, int64_t rows, int64_t columns, int64_t nonzeros, void *offsets,
                         void *indices, void *values, int ot, int it, int base, cudaDataType type) {
    return describe(out, rows, columns, nonzeros, values);
}
status cusparseCreateCoo(nc_matrix **out, int64_t rows, int64_t columns, int64_t nonzeros, void *row_indices,
                         void *column_indices, void *values, int it, int base, cudaDataType type) {
    return describe(out, rows, columns, nonzeros, values);
}
status cusparseCreateDnMat(nc_matrix **out, int64_t rows, int64_t columns, int64_t ld, void *values,
                           cudaDataType type, int order) {
    return describe(out, rows, columns, 0, values);
}
status cusparseCreateDnVec(nc_matrix **out, int64_t size, void *values, cudaDataType type) {
    return describe(out, size, 1, 0, values);
}
#define DESTROYS(name)                                                                        \
    status cusparseDestroy##name(nc_matrix *m) {                                              \
        return nc_object_delete(m, NC_SPARSE_MATRIX) ? SPARSE_SUCCESS : SPARSE_INVALID_VALUE; \
    }
DESTROYS(SpMat)
DESTROYS(DnMat)
DESTROYS(DnVec)
status cusparseSpMatGetSize(nc_matrix *m, int64_t *rows, int64_t *columns, int64_t *nonzeros) {
    if (!nc_matrix_of(m) || !rows || !columns || !nonzeros) return SPARSE_INVALID_VALUE;
    *rows = m->rows;
    *columns = m->columns;
    *nonzeros = m->nonzeros;
    return SPARSE_SUCCESS;
}
status cusparseCsrSetPointers(nc_matrix *m, void *offsets, void *indices, void *values) {
    if (!nc_matrix_of(m)) return SPARSE_INVALID_VALUE;
    m->values = values;
    return SPARSE_SUCCESS;
}
/* Settings that change neither what is written first nor what is asked for. */
#define SETTING(name, ...)                                              \
    status cusparse##name(nc_matrix *m, __VA_ARGS__) {                  \
        return nc_matrix_of(m) ? SPARSE_SUCCESS : SPARSE_INVALID_VALUE; \
    }
SETTING(CsrSetStridedBatch, int matrices, int64_t offsets, int64_t values)
SETTING(DnMatSetStridedBatch, int matrices, int64_t stride)
SETTING(SpMatSetAttribute, int attribute, void *data, size_t bytes)
