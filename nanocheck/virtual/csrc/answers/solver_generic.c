/* cuSOLVER's functions whose element type is an argument, and whose workspaces are bytes on the card and the host. */
#include "answers/solver.h"
#include "base/guesses.h"
#include <library_types.h>

static size_t width(cudaDataType type) {
    switch (type) {
    case CUDA_R_32F: return 4;
    case CUDA_R_64F:
    case CUDA_C_32F: return 8;
    default: return 16; /* CUDA_C_64F; cuSOLVER offers no narrower type */
    }
}

static nc_solved told(size_t *card, size_t *host, size_t elements, cudaDataType type) {
    if (!card || !host) return INVALID_VALUE;
    *card = nc_guessed(NC_GUESS_SOLVER, elements * width(type));
    *host = 0;
    return SOLVED;
}

nc_solved cusolverDnXgeqrf_bufferSize(void *h, void *params, int64_t m, int64_t n, cudaDataType at, void *a,
                                      int64_t lda, cudaDataType tt, void *tau, cudaDataType type,
                                      size_t *card, size_t *host) {
    return told(card, host, nc_solver_panel(n), type);
}
nc_solved cusolverDnXgeqrf(void *h, void *params, int64_t m, int64_t n, cudaDataType at, void *a, int64_t lda,
                           cudaDataType tt, void *tau, cudaDataType type, void *work, size_t room,
                           void *host_work, size_t host_room, int *info) {
    return nc_solve(h, info, 1, 2, a, tau);
}
nc_solved cusolverDnXpotrf_bufferSize(void *h, void *params, int part, int64_t n, cudaDataType at, void *a,
                                      int64_t lda, cudaDataType type, size_t *card, size_t *host) {
    return told(card, host, nc_solver_panel(n), type);
}
nc_solved cusolverDnXpotrf(void *h, void *params, int part, int64_t n, cudaDataType at, void *a, int64_t lda,
                           cudaDataType type, void *work, size_t room, void *host_work, size_t host_room,
                           int *info) {
    return nc_solve(h, info, 1, 1, a);
}
nc_solved cusolverDnXpotrs(void *h, void *params, int part, int64_t n, int64_t columns, cudaDataType at,
                           void *a, int64_t lda, cudaDataType bt, void *b, int64_t ldb, int *info) {
    return nc_solve(h, info, 1, 1, b);
}
nc_solved cusolverDnXsytrs_bufferSize(void *h, int part, int64_t n, int64_t columns, cudaDataType at, void *a,
                                      int64_t lda, int64_t *pivots, cudaDataType bt, void *b, int64_t ldb,
                                      size_t *card, size_t *host) {
    return told(card, host, (size_t)n, at); /* xSYTRS2: n */
}
nc_solved cusolverDnXsytrs(void *h, int part, int64_t n, int64_t columns, cudaDataType at, void *a,
                           int64_t lda, int64_t *pivots, cudaDataType bt, void *b, int64_t ldb, void *work,
                           size_t room, void *host_work, size_t host_room, int *info) {
    return nc_solve(h, info, 1, 1, b);
}
nc_solved cusolverDnXsyevd_bufferSize(void *h, void *params, int job, int part, int64_t n, cudaDataType at,
                                      void *a, int64_t lda, cudaDataType wt, void *w, cudaDataType type,
                                      size_t *card, size_t *host) {
    return told(card, host, nc_solver_eigen(n, job), type);
}
nc_solved cusolverDnXsyevd(void *h, void *params, int job, int part, int64_t n, cudaDataType at, void *a,
                           int64_t lda, cudaDataType wt, void *w, cudaDataType type, void *work, size_t room,
                           void *host_work, size_t host_room, int *info) {
    return nc_solve(h, info, 1, 2, a, w);
}
nc_solved cusolverDnXsyevBatched_bufferSize(void *h, void *params, int job, int part, int64_t n,
                                            cudaDataType at, void *a, int64_t lda, cudaDataType wt, void *w,
                                            cudaDataType type, size_t *card, size_t *host, int64_t matrices) {
    return told(card, host, nc_solver_eigen(n, job) * (size_t)matrices, type);
}
nc_solved cusolverDnXsyevBatched(void *h, void *params, int job, int part, int64_t n, cudaDataType at,
                                 void *a, int64_t lda, cudaDataType wt, void *w, cudaDataType type,
                                 void *work, size_t room, void *host_work, size_t host_room, int *info,
                                 int64_t matrices) {
    return nc_solve(h, info, matrices, 2, a, w);
}
nc_solved cusolverDnXgeev_bufferSize(void *h, void *params, int jl, int jr, int64_t n, cudaDataType at,
                                     void *a, int64_t lda, cudaDataType wt, void *w, cudaDataType lt,
                                     void *vl, int64_t ldvl, cudaDataType rt, void *vr, int64_t ldvr,
                                     cudaDataType type, size_t *card, size_t *host) {
    return told(card, host, nc_solver_general_eigen(n), type);
}
nc_solved cusolverDnXgeev(void *h, void *params, int jl, int jr, int64_t n, cudaDataType at, void *a,
                          int64_t lda, cudaDataType wt, void *w, cudaDataType lt, void *vl, int64_t ldvl,
                          cudaDataType rt, void *vr, int64_t ldvr, cudaDataType type, void *work, size_t room,
                          void *host_work, size_t host_room, int *info) {
    return nc_solve(h, info, 1, 4, a, w, vl, vr);
}
