/* Events.
 *
 * All work is done the moment it is issued: every query answers "finished", except for collectives
 * (work/collectives.c). Unless the card's clock runs (base/clock.c) events carry no time: the interval between any
 * two is one millisecond, so that code which picks the fastest of several candidates always picks the first and
 * never depends on how busy this machine is.
 */
#include "answers/answers.h"
#include "base/clock.h"
#include "work/capture.h"
#include "work/collectives.h"

typedef struct {
    nc_capture capture; /* in which it was recorded last */
    bool recorded;      /* ever */
    long long at;       /* on the card's clock; 0: it stood still */
    nc_mark mark;
} event;
_Static_assert(sizeof(event) <= NC_OBJECT_BYTES, "fits");

static event *event_of(cudaEvent_t handle) { /* NULL: it was destroyed, or never was one */
    return nc_object_is(handle, NC_EVENT) ? (event *)handle : NULL;
}
static cudaError_t invalid(void) { return nc_fail(cudaErrorInvalidResourceHandle); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *handle, unsigned flags) {
    NEEDS_ROOM(handle);
    *handle = nc_object_new(NC_EVENT);
    return *handle ? cudaSuccess : nc_fail(cudaErrorMemoryAllocation);
}
cudaError_t cudaEventCreate(cudaEvent_t *handle) { return cudaEventCreateWithFlags(handle, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t handle) {
    event *e = event_of(handle);
    if (e) nc_mark_clear(&e->mark);
    return nc_object_delete(handle, NC_EVENT) ? cudaSuccess : invalid();
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t handle, cudaStream_t on, unsigned flags) {
    event *e = event_of(handle);
    if (!e || !nc_stream_valid(on)) return invalid();
    __atomic_store_n(&e->capture, nc_capture_of(on), __ATOMIC_RELAXED);
    __atomic_store_n(&e->at, nc_clock_done(), __ATOMIC_RELAXED);
    __atomic_store_n(&e->recorded, true, __ATOMIC_RELAXED);
    nc_mark_recorded(&e->mark, on);
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t on) {
    return cudaEventRecordWithFlags(handle, on, 0);
}
cudaError_t cudaEventQuery(cudaEvent_t handle) {
    event *e = event_of(handle);
    if (!e) return invalid();
    return nc_mark_finished(&e->mark) ? cudaSuccess : nc_fail(cudaErrorNotReady);
}
cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
    const event *e = event_of(handle);
    if (!e) return invalid();
    nc_host_waits();
    long long at = __atomic_load_n(&e->at, __ATOMIC_RELAXED);
    if (at) nc_clock_waited(at);
    return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to) {
    NEEDS_ROOM(ms);
    const event *first = event_of(from), *last = event_of(to);
    if (!first || !last) return invalid();
    bool recorded = __atomic_load_n(&first->recorded, __ATOMIC_RELAXED)
                    && __atomic_load_n(&last->recorded, __ATOMIC_RELAXED);
    if (!recorded) return invalid();
    long long from_ns = __atomic_load_n(&first->at, __ATOMIC_RELAXED);
    long long to_ns = __atomic_load_n(&last->at, __ATOMIC_RELAXED);
    *ms = from_ns && to_ns ? (float)((double)(to_ns - from_ns) / 1e6) : 1.0f;
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
    const event *e = event_of(waited);
    if (!e || !nc_stream_valid(handle)) return invalid();
    nc_capture_join(handle, __atomic_load_n(&e->capture, __ATOMIC_RELAXED));
    return cudaSuccess;
}
