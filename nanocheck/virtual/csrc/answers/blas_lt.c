/* cuBLASLt: one usable algorithm, and products that are counted and not computed. */
#include "answers/answers.h"
#include "values/known.h"
#include <string.h>

typedef int status; /* cublasStatus_t: 0 is CUBLAS_STATUS_SUCCESS */
typedef struct {
    uint64_t algo[8];
    size_t workspace;
    status state;
    float waves;
    int reserved[4];
} lt_result;

status cublasLtCreate(void **out) {
    *out = nc_handle();
    return 0;
}
status cublasLtDestroy(void *h) { return 0; }
size_t cublasLtGetVersion(void) { return CUDART_VERSION * 10; }
size_t cublasLtGetCudartVersion(void) { return CUDART_VERSION; }
#define OPAQUE(what)                                      \
    status cublasLt##what##Create(void **out) {           \
        *out = nc_handle();                               \
        return 0;                                         \
    }                                                     \
    status cublasLt##what##Destroy(void *d) { return 0; } \
    status cublasLt##what##SetAttribute(void *d, int a, const void *v, size_t n) { return 0; }
OPAQUE(MatmulDesc)
OPAQUE(MatmulPreference)
OPAQUE(MatrixLayout)
status cublasLtMatmulAlgoGetHeuristic(void *h, void *d, void *a, void *b, void *c, void *out,
                                      void *preference, int wanted, lt_result *results, int *found) {
    memset(results, 0, sizeof *results);
    results->waves = 1.0f;
    *found = 1;
    return 0;
}
status cublasLtMatmulAlgoInit(void) { return 0; }
status cublasLtMatmulAlgoConfigSetAttribute(void) { return 0; }
status cublasLtMatmulAlgoCheck(void *h, void *d, void *a, void *b, void *c, void *out, const void *algo,
                               lt_result *result) {
    memset(result, 0, sizeof *result);
    return 0;
}
status cublasLtMatmul(void *h, void *d, void *alpha, void *a, void *ad, void *b, void *bd, void *beta,
                      void *c, void *cd, void *result) {
    nc_known_lose(result);
    nc_count(NC_LAUNCHES);
    nc_count(NC_MATMUL);
    return 0;
}
