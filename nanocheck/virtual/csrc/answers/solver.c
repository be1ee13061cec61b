/* cuSOLVER: handles, what a factorisation does here, and how large its workspace is taken to be.
 *
 * Nothing is factorised. `info` says success (0), as it does on a card for matrices that are not singular; whoever
 * reads it reads a guess. NVIDIA documents that a workspace must be asked for (*_bufferSize), not how large it is; LAPACK
 * documents the same algorithms' (netlib.org/lapack, the LWORK of each), with a block of 64 columns, its largest.
 */
#include "answers/solver.h"
#include "answers/success.h"
#include "values/known.h"
#include "work/capture.h"
#include <stdarg.h>

_Static_assert(sizeof(nc_solver) <= NC_OBJECT_BYTES, "fits");

nc_solved cusolverDnCreate(nc_solver **out) {
    if (!out) return INVALID_VALUE;
    return (*out = nc_object_new(NC_SOLVER)) ? SOLVED : ALLOC_FAILED;
}
nc_solved cusolverDnDestroy(nc_solver *h) {
    return nc_object_delete(h, NC_SOLVER) ? SOLVED : NOT_INITIALIZED;
}
nc_solved cusolverDnSetStream(nc_solver *h, cudaStream_t stream) {
    if (!nc_object_is(h, NC_SOLVER)) return NOT_INITIALIZED;
    h->stream = stream;
    return SOLVED;
}
nc_solved cusolverDnGetStream(nc_solver *h, cudaStream_t *stream) {
    if (!nc_object_is(h, NC_SOLVER)) return NOT_INITIALIZED;
    if (!stream) return INVALID_VALUE;
    *stream = h->stream;
    return SOLVED;
}
/* Settings, of which nothing here depends. */
#define SETTINGS(name)                             \
    nc_solved cusolverDnCreate##name(void **out) { \
        if (!out) return INVALID_VALUE;            \
        *out = nc_handle();                        \
        return SOLVED;                             \
    }                                              \
    nc_solved cusolverDnDestroy##name(void *settings) { return settings ? SOLVED : INVALID_VALUE; }
SETTINGS(Params)
SETTINGS(GesvdjInfo)
SETTINGS(SyevjInfo)
nc_solved cusolverDnXgesvdjSetMaxSweeps(void *settings, int sweeps) { return SOLVED; }
nc_solved cusolverDnXgesvdjSetSortEig(void *settings, int sort) { return SOLVED; }
nc_solved cusolverDnXgesvdjSetTolerance(void *settings, double tolerance) { return SOLVED; }

nc_solved nc_solve(nc_solver *handle, int *info, int64_t matrices, int outputs, ...) {
    if (!nc_object_is(handle, NC_SOLVER)) return NOT_INITIALIZED;
    va_list list;
    va_start(list, outputs);
    for (int i = 0; i < outputs; i++) nc_known_lose(va_arg(list, void *));
    va_end(list);
    nc_count(NC_LAUNCHES);
    nc_capture_node(handle->stream);
    if (nc_capturing(handle->stream)) nc_known_lose_range(info, sizeof *info * (size_t)matrices);
    else if (info && matrices > 0) nc_succeed(info, (size_t)matrices);
    return SOLVED;
}

/* ---- workspaces, in elements ---- */
enum { BLOCK = 64 };
static size_t count(int64_t n) { return n > 0 ? (size_t)n : 0; }
static size_t smaller(int64_t m, int64_t n) { return count(m < n ? m : n); }

size_t nc_solver_panel(int64_t rows) { return BLOCK * count(rows); }
/* xSYEVD: LWORK 1 + 6n + 2n^2 and LIWORK 3 + 5n with vectors, 2n + 1 without. */
size_t nc_solver_eigen(int64_t n, bool vectors) {
    size_t k = count(n);
    return vectors ? 2 * k * k + 11 * k + 4 : 2 * k + 1;
}
/* xGEEV: 4n, and xGEHRD's block of columns. */
size_t nc_solver_general_eigen(int64_t n) { return 4 * count(n) + nc_solver_panel(n); }
/* xGESVD where a QR factorisation goes first: its square factor, xGEBRD's two blocks, 3n more. */
size_t nc_solver_singular(int64_t m, int64_t n) {
    size_t k = smaller(m, n);
    return k * k + 3 * k + nc_solver_panel(m) + nc_solver_panel(n);
}
/* xGEJSV (one-sided Jacobi) with both factors: max(2m + n, 6n + 2n^2). */
size_t nc_solver_jacobi(int64_t m, int64_t n) {
    size_t k = smaller(m, n), tall = 2 * count(m) + count(n), square = 6 * k + 2 * k * k;
    return tall > square ? tall : square;
}
