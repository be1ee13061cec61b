/* The runtime's copies and memsets: values/copies.c says which of them are carried out.
 *
 * Both ends must be there for their whole length (memory/bounds.h): what would reach into a neighbour is refused. */
#include "answers/answers.h"
#include "base/clock.h"
#include "memory/bounds.h"
#include "values/copies.h"
#include "values/known.h"
#include "work/capture.h"
#include <string.h>

static cudaError_t checked(const void *to, const void *from, size_t n, enum cudaMemcpyKind kind) {
    if ((unsigned)kind > cudaMemcpyDefault) return cudaErrorInvalidMemcpyDirection;
    return nc_within(to, n) && nc_within(from, n) ? cudaSuccess : cudaErrorInvalidValue;
}

/* How far `rows` rows reach: from the first one's beginning to the last one's end. */
static size_t reach(size_t pitch, size_t width, size_t rows) {
    return rows && width ? pitch * (rows - 1) + width : 0;
}
static cudaError_t copy_rows(char *to, size_t to_pitch, const char *from, size_t from_pitch, size_t width,
                             size_t rows, enum cudaMemcpyKind kind) {
    if (width > to_pitch || width > from_pitch) return nc_fail(cudaErrorInvalidPitchValue);
    cudaError_t error = checked(to, from, 0, kind);
    if (!error
        && !(nc_within(to, reach(to_pitch, width, rows)) && nc_within(from, reach(from_pitch, width, rows))))
        error = cudaErrorInvalidValue;
    if (error) return nc_fail(error);
    bool real = nc_carried_out(to, width * rows);
    for (size_t row = 0; row < rows; row++) {
        if (real) nc_copy(to + row * to_pitch, from + row * from_pitch, width);
        else nc_known_lose_range(to + row * to_pitch, width);
    }
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t n, enum cudaMemcpyKind kind) {
    cudaError_t error = checked(to, from, n, kind);
    if (error) return nc_fail(error);
    nc_copy(to, from, n);
    nc_clock_waited(0);
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, enum cudaMemcpyKind kind,
                            cudaStream_t stream) {
    cudaError_t error = checked(to, from, n, kind);
    if (error) return nc_fail(error);
    if (nc_capturing(stream)) {
        nc_capture_node(stream);
        nc_known_lose_range(to, n);
        return cudaSuccess;
    }
    nc_copy(to, from, n);
    return cudaSuccess;
}
cudaError_t cudaMemcpyPeerAsync(void *to, int td, const void *from, int fd, size_t n, cudaStream_t stream) {
    return cudaMemcpyAsync(to, from, n, cudaMemcpyDefault, stream);
}
cudaError_t cudaMemcpy2D(void *to, size_t tp, const void *from, size_t fp, size_t width, size_t rows,
                         enum cudaMemcpyKind kind) {
    return copy_rows(to, tp, from, fp, width, rows, kind);
}
cudaError_t cudaMemcpy2DAsync(void *to, size_t tp, const void *from, size_t fp, size_t width, size_t rows,
                              enum cudaMemcpyKind kind, cudaStream_t stream) {
    return copy_rows(to, tp, from, fp, width, rows, kind);
}
cudaError_t cudaMemcpyToSymbol(const void *symbol, const void *from, size_t n, size_t offset,
                               enum cudaMemcpyKind kind) {
    /* __constant__ memory: only kernels read it */
    return cudaSuccess;
}
cudaError_t cudaMemset(void *to, int value, size_t n) {
    if (!nc_within(to, n)) return nc_fail(cudaErrorInvalidValue);
    if (!n || !nc_carried_out(to, n)) return cudaSuccess;
    memset(to, value, n);
    nc_known_set(to, n, NC_WRITTEN);
    return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void *to, int value, size_t n, cudaStream_t stream) {
    if (!nc_within(to, n)) return nc_fail(cudaErrorInvalidValue);
    if (nc_capturing(stream)) {
        nc_capture_node(stream);
        nc_known_lose_range(to, n);
        return cudaSuccess;
    }
    return cudaMemset(to, value, n);
}
