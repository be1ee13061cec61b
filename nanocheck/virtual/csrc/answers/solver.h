/* What the two files about cuSOLVER share.
 *
 * The library's header wants others that not every set of wheels holds; its few types are declared here as the
 * documentation gives them (docs.nvidia.com/cuda/cusolver).
 */
#ifndef NANOCHECK_ANSWERS_SOLVER_H
#define NANOCHECK_ANSWERS_SOLVER_H
#include "answers/answers.h"

typedef enum { SOLVED, NOT_INITIALIZED, ALLOC_FAILED, INVALID_VALUE } nc_solved; /* cusolverStatus_t */
typedef struct {
    cudaStream_t stream;
} nc_solver;

/* One factorisation: what it writes is unknown afterwards, and it reports success in `info`, one for each matrix. */
NC_HIDDEN nc_solved nc_solve(nc_solver *handle, int *info, int64_t matrices, int outputs, ...);
/* Elements of a workspace, after LAPACK's documentation: NVIDIA's own sizes are not published.
 * None of them is negative; sums saturate. */
NC_HIDDEN size_t nc_solver_panel(int64_t rows); /* a blocked algorithm's block of columns (or rows) */
NC_HIDDEN size_t nc_solver_eigen(int64_t n, bool vectors);
NC_HIDDEN size_t nc_solver_general_eigen(int64_t n);
NC_HIDDEN size_t nc_solver_singular(int64_t m, int64_t n);
NC_HIDDEN size_t nc_solver_jacobi(int64_t m, int64_t n);

#endif
