/* cuSOLVER's functions of one element type each: S, D, C, Z. */
#include "answers/solver.h"
#include "base/guesses.h"

enum { BYTES_S = 4, BYTES_D = 8, BYTES_C = 8, BYTES_Z = 16 };

static nc_solved told(int *room, size_t elements, size_t width) {
    if (!room) return INVALID_VALUE;
    nc_guessed(NC_GUESS_SOLVER, elements * width);
    *room = elements > INT32_MAX ? INT32_MAX : (int)elements;
    return SOLVED;
}

#define TYPED(T)                                                                                             \
    nc_solved cusolverDn##T##geqrf_bufferSize(void *h, int m, int n, void *a, int lda, int *room) {          \
        return told(room, nc_solver_panel(n), BYTES_##T);                                                    \
    }                                                                                                        \
    nc_solved cusolverDn##T##geqrf(void *h, int m, int n, void *a, int lda, void *tau, void *work, int room, \
                                   int *info) {                                                              \
        return nc_solve(h, info, 1, 2, a, tau);                                                              \
    }                                                                                                        \
    nc_solved cusolverDn##T##getrf_bufferSize(void *h, int m, int n, void *a, int lda, int *room) {          \
        return told(room, nc_solver_panel(m), BYTES_##T);                                                    \
    }                                                                                                        \
    nc_solved cusolverDn##T##getrf(void *h, int m, int n, void *a, int lda, void *work, int *pivots,         \
                                   int *info) {                                                              \
        return nc_solve(h, info, 1, 2, a, pivots);                                                           \
    }                                                                                                        \
    nc_solved cusolverDn##T##getrs(void *h, int t, int n, int columns, void *a, int lda, int *pivots,        \
                                   void *b, int ldb, int *info) {                                            \
        return nc_solve(h, info, 1, 1, b);                                                                   \
    }                                                                                                        \
    nc_solved cusolverDn##T##potrf_bufferSize(void *h, int part, int n, void *a, int lda, int *room) {       \
        return told(room, nc_solver_panel(n), BYTES_##T);                                                    \
    }                                                                                                        \
    nc_solved cusolverDn##T##potrf(void *h, int part, int n, void *a, int lda, void *work, int room,         \
                                   int *info) {                                                              \
        return nc_solve(h, info, 1, 1, a);                                                                   \
    }                                                                                                        \
    nc_solved cusolverDn##T##potrs(void *h, int part, int n, int columns, void *a, int lda, void *b,         \
                                   int ldb, int *info) {                                                     \
        return nc_solve(h, info, 1, 1, b);                                                                   \
    }                                                                                                        \
    nc_solved cusolverDn##T##potrfBatched(void *h, int part, int n, void **a, int lda, int *info,            \
                                          int matrices) {                                                    \
        return nc_solve(h, info, matrices, 0);                                                               \
    }                                                                                                        \
    nc_solved cusolverDn##T##potrsBatched(void *h, int part, int n, int columns, void **a, int lda,          \
                                          void **b, int ldb, int *info, int matrices) {                      \
        return nc_solve(h, info, 1, 0);                                                                      \
    }                                                                                                        \
    nc_solved cusolverDn##T##sytrf_bufferSize(void *h, int n, void *a, int lda, int *room) {                 \
        return told(room, nc_solver_panel(n), BYTES_##T);                                                    \
    }                                                                                                        \
    nc_solved cusolverDn##T##sytrf(void *h, int part, int n, void *a, int lda, int *pivots, void *work,      \
                                   int room, int *info) {                                                    \
        return nc_solve(h, info, 1, 2, a, pivots);                                                           \
    }                                                                                                        \
    nc_solved cusolverDn##T##gesvd_bufferSize(void *h, int m, int n, int *room) {                            \
        return told(room, nc_solver_singular(m, n), BYTES_##T);                                              \
    }                                                                                                        \
    nc_solved cusolverDn##T##gesvd(void *h, signed char ju, signed char jv, int m, int n, void *a, int lda,  \
                                   void *s, void *u, int ldu, void *vt, int ldvt, void *work, int room,      \
                                   void *real_work, int *info) {                                             \
        return nc_solve(h, info, 1, 4, a, s, u, vt);                                                         \
    }                                                                                                        \
    nc_solved cusolverDn##T##gesvdj_bufferSize(void *h, int job, int thin, int m, int n, void *a, int lda,   \
                                               void *s, void *u, int ldu, void *v, int ldv, int *room,       \
                                               void *settings) {                                             \
        return told(room, nc_solver_jacobi(m, n), BYTES_##T);                                                \
    }                                                                                                        \
    nc_solved cusolverDn##T##gesvdj(void *h, int job, int thin, int m, int n, void *a, int lda, void *s,     \
                                    void *u, int ldu, void *v, int ldv, void *work, int room, int *info,     \
                                    void *settings) {                                                        \
        return nc_solve(h, info, 1, 4, a, s, u, v);                                                          \
    }                                                                                                        \
    nc_solved cusolverDn##T##gesvdjBatched_bufferSize(void *h, int job, int m, int n, void *a, int lda,      \
                                                      void *s, void *u, int ldu, void *v, int ldv,           \
                                                      int *room, void *settings, int matrices) {             \
        return told(room, nc_solver_jacobi(m, n) * (size_t)matrices, BYTES_##T);                             \
    }                                                                                                        \
    nc_solved cusolverDn##T##gesvdjBatched(void *h, int job, int m, int n, void *a, int lda, void *s,        \
                                           void *u, int ldu, void *v, int ldv, void *work, int room,         \
                                           int *info, void *settings, int matrices) {                        \
        return nc_solve(h, info, matrices, 4, a, s, u, v);                                                   \
    }                                                                                                        \
    nc_solved cusolverDn##T##gesvdaStridedBatched_bufferSize(                                                \
        void *h, int job, int rank, int m, int n, void *a, int lda, long long sa, void *s, long long ss,     \
        void *u, int ldu, long long su, void *v, int ldv, long long sv, int *room, int matrices) {           \
        return told(room, nc_solver_jacobi(m, n) * (size_t)matrices, BYTES_##T);                             \
    }                                                                                                        \
    nc_solved cusolverDn##T##gesvdaStridedBatched(                                                           \
        void *h, int job, int rank, int m, int n, void *a, int lda, long long sa, void *s, long long ss,     \
        void *u, int ldu, long long su, void *v, int ldv, long long sv, void *work, int room, int *info,     \
        double *residuals, int matrices) {                                                                   \
        for (int i = 0; residuals && i < matrices; i++) residuals[i] = 0; /* on the host */                  \
        return nc_solve(h, info, matrices, 3, s, u, v);                                                      \
    }
TYPED(S)
TYPED(D)
TYPED(C)
TYPED(Z)

/* Real and complex matrices have other names for the same. */
#define NAMED(T, or, sy)                                                                                     \
    nc_solved cusolverDn##T##                                                                                \
        or ##gqr_bufferSize(void *h, int m, int n, int k, void *a, int lda, void *tau, int *room) {          \
        return told(room, nc_solver_panel(n), BYTES_##T);                                                    \
    }                                                                                                        \
    nc_solved cusolverDn##T##                                                                                \
        or ##gqr(void *h, int m, int n, int k, void *a, int lda, void *tau, void *work, int room,            \
                 int *info) {                                                                                \
        return nc_solve(h, info, 1, 1, a);                                                                   \
    }                                                                                                        \
    nc_solved cusolverDn##T##                                                                                \
        or ##mqr_bufferSize(void *h, int right, int t, int m, int n, int k, void *a, int lda, void *tau,     \
                            void *c, int ldc, int *room) {                                                   \
        return told(room, nc_solver_panel(right ? m : n), BYTES_##T);                                        \
    }                                                                                                        \
    nc_solved cusolverDn##T##                                                                                \
        or ##mqr(void *h, int right, int t, int m, int n, int k, void *a, int lda, void *tau, void *c,       \
                 int ldc, void *work, int room, int *info) {                                                 \
        return nc_solve(h, info, 1, 1, c);                                                                   \
    }                                                                                                        \
    nc_solved cusolverDn##T##sy##evd_bufferSize(void *h, int job, int part, int n, void *a, int lda,         \
                                                void *w, int *room) {                                        \
        return told(room, nc_solver_eigen(n, job), BYTES_##T);                                               \
    }                                                                                                        \
    nc_solved cusolverDn##T##sy##evd(void *h, int job, int part, int n, void *a, int lda, void *w,           \
                                     void *work, int room, int *info) {                                      \
        return nc_solve(h, info, 1, 2, a, w);                                                                \
    }                                                                                                        \
    nc_solved cusolverDn##T##sy##evjBatched_bufferSize(void *h, int job, int part, int n, void *a, int lda,  \
                                                       void *w, int *room, void *settings, int matrices) {   \
        return told(room, nc_solver_eigen(n, job) * (size_t)matrices, BYTES_##T);                            \
    }                                                                                                        \
    nc_solved cusolverDn##T##sy##evjBatched(void *h, int job, int part, int n, void *a, int lda, void *w,    \
                                            void *work, int room, int *info, void *settings, int matrices) { \
        return nc_solve(h, info, matrices, 2, a, w);                                                         \
    }
NAMED(S, or, sy)
NAMED(D, or, sy)
NAMED(C, un, he)
NAMED(Z, un, he)
