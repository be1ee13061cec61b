/* Streams. All work is done the moment it is issued: every query answers "finished". */
#include "answers/answers.h"
#include "base/clock.h"
#include "work/capture.h"
#include "work/collectives.h"

static unsigned long long last_stream = 16;

/* Returns the error of a handle that was destroyed or never was one. */
#define NEEDS_STREAM(handle) \
    if (!nc_stream_valid(handle)) return nc_fail(cudaErrorInvalidResourceHandle)

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *handle, unsigned flags, int priority) {
    NEEDS_ROOM(handle);
    if (!nc_card_get()) return nc_fail(cudaErrorNoDevice);
    nc_stream *s = nc_object_new(NC_STREAM);
    if (!s) return nc_fail(cudaErrorMemoryAllocation);
    s->flags = flags;
    s->priority = priority;
    s->id = __atomic_add_fetch(&last_stream, 1, __ATOMIC_RELAXED);
    *handle = (cudaStream_t)s;
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *handle, unsigned flags) {
    return cudaStreamCreateWithPriority(handle, flags, 0);
}
cudaError_t cudaStreamCreate(cudaStream_t *handle) { return cudaStreamCreateWithPriority(handle, 0, 0); }
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
    bool destroyed = nc_object_delete(handle, NC_STREAM);
    return destroyed ? cudaSuccess : nc_fail(cudaErrorInvalidResourceHandle);
}
cudaError_t cudaStreamGetPriority(cudaStream_t handle, int *priority) {
    NEEDS_ROOM(priority);
    NEEDS_STREAM(handle);
    const nc_stream *s = nc_stream_of(handle);
    *priority = s ? s->priority : 0;
    return cudaSuccess;
}
cudaError_t cudaStreamGetFlags(cudaStream_t handle, unsigned *flags) {
    NEEDS_ROOM(flags);
    NEEDS_STREAM(handle);
    const nc_stream *s = nc_stream_of(handle);
    *flags = s ? s->flags : 0;
    return cudaSuccess;
}
cudaError_t cudaStreamGetId(cudaStream_t handle, unsigned long long *id) {
    NEEDS_ROOM(id);
    NEEDS_STREAM(handle);
    const nc_stream *s = nc_stream_of(handle);
    *id = s ? s->id : (uintptr_t)handle;
    return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t handle) {
    NEEDS_STREAM(handle);
    if (nc_capturing(handle)) return nc_fail(cudaErrorStreamCaptureUnsupported);
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
    NEEDS_STREAM(handle);
    if (nc_capturing(handle))
        return nc_fail(cudaErrorStreamCaptureUnsupported); /* item() in a captured region */
    nc_host_waits();
    nc_clock_waited(0);
    return cudaSuccess;
}
cudaError_t cudaStreamAddCallback(cudaStream_t handle, cudaStreamCallback_t call, void *data,
                                  unsigned flags) {
    NEEDS_STREAM(handle);
    call(handle, cudaSuccess, data);
    return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t call, void *data) {
    NEEDS_STREAM(handle);
    if (nc_capturing(handle)) nc_capture_node(handle);
    else call(data);
    return cudaSuccess;
}
