/* Events.
 *
 * All work is done the moment it is issued: every query answers "finished", except for collectives
 * (work/collectives.c). Events carry no time; the interval between any two is one millisecond, so that code
 * which picks the fastest of several candidates always picks the first and never depends on how busy
 * this machine is.
 */
#include "answers/answers.h"
#include "work/capture.h"
#include "work/collectives.h"
#include <stdlib.h>

typedef struct {
    nc_capture *in;
    nc_mark mark;
} event;

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *handle, unsigned flags) {
    *handle = (cudaEvent_t)calloc(1, sizeof(event));
    return *handle ? cudaSuccess : nc_fail(cudaErrorMemoryAllocation);
}
cudaError_t cudaEventCreate(cudaEvent_t *handle) { return cudaEventCreateWithFlags(handle, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t handle) {
    if (handle) nc_mark_clear(&((event *)handle)->mark);
    free(handle);
    return cudaSuccess;
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t handle, cudaStream_t on, unsigned flags) {
    ((event *)handle)->in = nc_capturing(on) ? nc_stream_of(on)->in : NULL;
    nc_mark_recorded(&((event *)handle)->mark, on);
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t on) {
    return cudaEventRecordWithFlags(handle, on, 0);
}
cudaError_t cudaEventQuery(cudaEvent_t handle) {
    return nc_mark_finished(&((event *)handle)->mark) ? cudaSuccess : nc_fail(cudaErrorNotReady);
}
cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
    nc_host_waits();
    return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to) {
    *ms = 1.0f;
    return cudaSuccess;
}
cudaError_t cudaIpcGetEventHandle(cudaIpcEventHandle_t *h, cudaEvent_t e) {
    return nc_fail(cudaErrorNotSupported);
}
cudaError_t cudaIpcOpenEventHandle(cudaEvent_t *e, cudaIpcEventHandle_t h) {
    return nc_fail(cudaErrorNotSupported);
}
/* A stream that waits for an event recorded in a capturing stream joins that capture. */
cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t waited, unsigned flags) {
    nc_capture *joined = waited ? ((event *)waited)->in : NULL;
    if (nc_stream_of(handle) && joined && joined->active) nc_stream_of(handle)->in = joined;
    return cudaSuccess;
}
