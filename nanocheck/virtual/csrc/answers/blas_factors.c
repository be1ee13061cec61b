/* cuBLAS's factorisations of many small matrices at once: handed over as tables of addresses on the card.
 *
 * Their argument checks succeed (the one `info` on the host is 0), and so does every factorisation (`infos`, one for each
 * matrix, on the card). The tables are the card's: which matrices they name is not looked at.
 */
#include "answers/blas.h"
#include "answers/success.h"

typedef nc_blas_status status;

static status factored(nc_blas *h, int *info, int *infos, int matrices) {
    status done = nc_blas_computed(h, NULL);
    if (done != BLAS_SUCCESS) return done;
    if (info) *info = 0;
    if (infos && matrices > 0) nc_succeed(infos, (size_t)matrices);
    return BLAS_SUCCESS;
}

#define TYPED(T)                                                                                           \
    status cublas##T##geqrfBatched(nc_blas *h, int m, int n, void *a, int lda, void *taus, int *info,      \
                                   int matrices) {                                                         \
        return factored(h, info, NULL, matrices);                                                          \
    }                                                                                                      \
    status cublas##T##getrfBatched(nc_blas *h, int n, void *a, int lda, int *pivots, int *infos,           \
                                   int matrices) {                                                         \
        return factored(h, NULL, infos, matrices);                                                         \
    }                                                                                                      \
    status cublas##T##getrsBatched(nc_blas *h, int t, int n, int columns, void *a, int lda, int *pivots,   \
                                   void *b, int ldb, int *info, int matrices) {                            \
        return factored(h, info, NULL, matrices);                                                          \
    }                                                                                                      \
    status cublas##T##gelsBatched(nc_blas *h, int t, int m, int n, int columns, void *a, int lda, void *c, \
                                  int ldc, int *info, int *infos, int matrices) {                          \
        return factored(h, info, infos, matrices);                                                         \
    }
TYPED(S)
TYPED(D)
TYPED(C)
TYPED(Z)
