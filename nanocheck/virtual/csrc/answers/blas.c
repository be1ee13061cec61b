/* cuBLAS: handles are distinct, matrix products are counted and not computed.
 *
 * PyTorch gives every (handle, stream) a workspace of its own through the caching allocator, so a
 * handle must be a new address each time.
 */
#include "answers/blas.h"
#include "values/known.h"
#include "work/capture.h"

typedef nc_blas_status status;
typedef nc_blas handle;
_Static_assert(sizeof(handle) <= NC_OBJECT_BYTES, "fits");

/* Returns the error of a handle that was destroyed or never was one. */
#define NEEDS(h) \
    if (!nc_object_is(h, NC_BLAS)) return BLAS_NOT_INITIALIZED

status cublasCreate_v2(handle **out) {
    if (!out) return BLAS_INVALID_VALUE;
    return (*out = nc_object_new(NC_BLAS)) ? BLAS_SUCCESS : BLAS_ALLOC_FAILED;
}
status cublasDestroy_v2(handle *h) {
    return nc_object_delete(h, NC_BLAS) ? BLAS_SUCCESS : BLAS_NOT_INITIALIZED;
}
#define SETTING(name, type, field)                   \
    status cublasSet##name(handle *h, type value) {  \
        NEEDS(h);                                    \
        h->field = value;                            \
        return BLAS_SUCCESS;                         \
    }                                                \
    status cublasGet##name(handle *h, type *value) { \
        NEEDS(h);                                    \
        if (!value) return BLAS_INVALID_VALUE;       \
        *value = h->field;                           \
        return BLAS_SUCCESS;                         \
    }
SETTING(Stream_v2, cudaStream_t, stream)
SETTING(MathMode, int, math_mode)
SETTING(PointerMode_v2, int, pointer_mode)
SETTING(SmCountTarget, int, sms)
status cublasSetWorkspace_v2(handle *h, void *memory, size_t bytes) {
    NEEDS(h);
    return BLAS_SUCCESS;
}
status cublasSetAtomicsMode(handle *h, int mode) {
    NEEDS(h);
    return BLAS_SUCCESS;
}

status nc_blas_computed(handle *h, void *result) {
    NEEDS(h);
    if (result) nc_known_lose(result);
    nc_count(NC_LAUNCHES);
    nc_count(NC_MATMUL);
    nc_capture_node(h->stream);
    return BLAS_SUCCESS;
}
/* Products differ in where their result stands among the arguments; what stands there is unknown afterwards. */
static status product(handle *h, void *result) { return nc_blas_computed(h, result); }
#define COMPUTES_NOTHING(name) \
    status name(handle *h) { return product(h, NULL); }
#define FOUR_TYPES(before, after)      \
    COMPUTES_NOTHING(before##S##after) \
    COMPUTES_NOTHING(before##D##after) COMPUTES_NOTHING(before##C##after) COMPUTES_NOTHING(before##Z##after)
#define GEMM(name)                                                                                      \
    status name(handle *h, int ta, int tb, int m, int n, int k, void *alpha, void *a, int lda, void *b, \
                int ldb, void *beta, void *c) {                                                         \
        return product(h, c);                                                                           \
    }
#define GEMM_STRIDED(name)                                                                              \
    status name(handle *h, int ta, int tb, int m, int n, int k, void *alpha, void *a, int lda, long sa, \
                void *b, int ldb, long sb, void *beta, void *c) {                                       \
        return product(h, c);                                                                           \
    }
#define GEMM_EX(name)                                                                                  \
    status name(handle *h, int ta, int tb, int m, int n, int k, void *alpha, void *a, int at, int lda, \
                void *b, int bt, int ldb, void *beta, void *c) {                                       \
        return product(h, c);                                                                          \
    }
#define GEMM_STRIDED_EX(name)                                                                          \
    status name(handle *h, int ta, int tb, int m, int n, int k, void *alpha, void *a, int at, int lda, \
                long sa, void *b, int bt, int ldb, long sb, void *beta, void *c) {                     \
        return product(h, c);                                                                          \
    }
#define GEMV(name)                                                                                \
    status name(handle *h, int t, int m, int n, void *alpha, void *a, int lda, void *x, int incx, \
                void *beta, void *y) {                                                            \
        return product(h, y);                                                                     \
    }
#define EACH_TYPE(define, after) \
    define(cublasS##after) define(cublasD##after) define(cublasC##after) define(cublasZ##after)
EACH_TYPE(GEMM, gemm_v2)
EACH_TYPE(GEMM_STRIDED, gemmStridedBatched)
EACH_TYPE(GEMV, gemv_v2)
FOUR_TYPES(cublas, gemmBatched)
FOUR_TYPES(cublas, trsm_v2)
FOUR_TYPES(cublas, trsmBatched)
GEMM(cublasHgemm)
GEMM_STRIDED(cublasHgemmStridedBatched)
GEMM_EX(cublasSgemmEx)
GEMM_EX(cublasGemmEx)
GEMM_STRIDED_EX(cublasGemmStridedBatchedEx)
COMPUTES_NOTHING(cublasGemmBatchedEx)

/* A dot product writes its result where the pointer mode says: to the card nothing, to the host a value nobody computed. */
static status dot(handle *h, const char *name, void *result) {
    NEEDS(h);
    if (h->pointer_mode == 0) nc_unimplemented(name);
    return product(h, result);
}
#define DOT(name)                                                                       \
    status name(handle *h, int n, void *x, int incx, void *y, int incy, void *result) { \
        return dot(h, #name " with its result on the host", result);                    \
    }
DOT(cublasSdot_v2)
DOT(cublasDdot_v2)
status cublasDotEx(handle *h, int n, void *x, int xt, int incx, void *y, int yt, int incy, void *result) {
    return dot(h, "cublasDotEx with its result on the host", result);
}

const char *cublasGetStatusString(status s) { return s ? "error of the virtual GPU" : "success"; }
const char *cublasGetStatusName(status s) {
    return s ? "CUBLAS_STATUS_INTERNAL_ERROR" : "CUBLAS_STATUS_SUCCESS";
}
