/* cuBLAS: handles are distinct, matrix products are counted and not computed.
 *
 * PyTorch gives every (handle, stream) a workspace of its own through the caching allocator, so a
 * handle must be a new address each time. The libraries' headers want C++ ones that the wheels lack;
 * the few types are declared here as the documentation gives them.
 */
#include "answers/answers.h"
#include "values/known.h"
#include "work/capture.h"
#include <stdlib.h>

typedef int status; /* cublasStatus_t: 0 is CUBLAS_STATUS_SUCCESS */
typedef struct {
    cudaStream_t stream;
    int math_mode, pointer_mode, sms;
} handle;

status cublasCreate_v2(handle **out) { return (*out = calloc(1, sizeof **out)) ? 0 : 3 /* ALLOC_FAILED */; }
status cublasDestroy_v2(handle *h) {
    free(h);
    return 0;
}
status cublasSetStream_v2(handle *h, cudaStream_t stream) {
    h->stream = stream;
    return 0;
}
status cublasGetStream_v2(handle *h, cudaStream_t *stream) {
    *stream = h->stream;
    return 0;
}
status cublasSetWorkspace_v2(handle *h, void *memory, size_t bytes) { return 0; }
status cublasSetMathMode(handle *h, int mode) {
    h->math_mode = mode;
    return 0;
}
status cublasGetMathMode(handle *h, int *mode) {
    *mode = h->math_mode;
    return 0;
}
status cublasSetPointerMode_v2(handle *h, int mode) {
    h->pointer_mode = mode;
    return 0;
}
status cublasGetPointerMode_v2(handle *h, int *mode) {
    *mode = h->pointer_mode;
    return 0;
}
status cublasSetSmCountTarget(handle *h, int sms) {
    h->sms = sms;
    return 0;
}
status cublasGetSmCountTarget(handle *h, int *sms) {
    *sms = h->sms;
    return 0;
}
status cublasSetAtomicsMode(handle *h, int mode) { return 0; }

static status computed(handle *h) {
    nc_count(NC_LAUNCHES);
    nc_count(NC_MATMUL);
    nc_capture_node(h->stream);
    return 0;
}
/* Products differ in where their result stands among the arguments; what stands there is unknown afterwards. */
static status product(handle *h, void *result) {
    nc_known_lose(result);
    return computed(h);
}
#define COMPUTES_NOTHING(name) \
    status name(handle *h) { return computed(h); }
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
