/* Streams, events and stream capture.
 *
 * All work is done the moment it is issued: every query answers "finished", except for collectives
 * (watchdog.c). Events carry no time; the interval between any two is one millisecond, so that code
 * which picks the fastest of several candidates always picks the first and never depends on how busy
 * this machine is.
 */
#include "nc.h"
#include <stdlib.h>

struct CUgraph_st {
    size_t nodes;
};
typedef struct {
    unsigned long long id;
    bool active;
    cudaGraph_t graph;
} capture; /* kept for ever: few, small */
typedef struct {
    int priority;
    unsigned flags;
    unsigned long long id;
    capture *in;
} stream;
typedef struct {
    capture *in;
    nc_mark mark;
} event;

static unsigned long long last_stream = 16, last_capture;

static stream *real(cudaStream_t handle) { /* the legacy and per-thread streams (0, 1, 2) cannot capture */
    return (uintptr_t)handle <= 2 ? NULL : (stream *)handle;
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *handle, unsigned flags, int priority) {
    if (!nc_card_get()) return nc_fail(cudaErrorNoDevice);
    stream *s = calloc(1, sizeof *s);
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
    free(real(handle));
    return cudaSuccess;
}
cudaError_t cudaStreamGetPriority(cudaStream_t handle, int *priority) {
    *priority = real(handle) ? real(handle)->priority : 0;
    return cudaSuccess;
}
cudaError_t cudaStreamGetFlags(cudaStream_t handle, unsigned *flags) {
    *flags = real(handle) ? real(handle)->flags : 0;
    return cudaSuccess;
}
cudaError_t cudaStreamGetId(cudaStream_t handle, unsigned long long *id) {
    *id = real(handle) ? real(handle)->id : (uintptr_t)handle;
    return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t handle) { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
    if (nc_capturing(handle))
        return nc_fail(cudaErrorStreamCaptureUnsupported); /* item() in a captured region */
    nc_host_waits();
    return cudaSuccess;
}
cudaError_t cudaStreamAddCallback(cudaStream_t handle, cudaStreamCallback_t call, void *data,
                                  unsigned flags) {
    call(handle, cudaSuccess, data);
    return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t call, void *data) {
    if (nc_capturing(handle)) {
        nc_capture_node(handle);
        return cudaSuccess;
    }
    call(data);
    return cudaSuccess;
}

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
    ((event *)handle)->in = nc_capturing(on) ? real(on)->in : NULL;
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
    capture *joined = waited ? ((event *)waited)->in : NULL;
    if (real(handle) && joined && joined->active) real(handle)->in = joined;
    return cudaSuccess;
}

bool nc_capturing(cudaStream_t handle) {
    return real(handle) && real(handle)->in && real(handle)->in->active;
}
void nc_capture_node(cudaStream_t handle) {
    if (nc_capturing(handle)) real(handle)->in->graph->nodes++;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, enum cudaStreamCaptureMode mode) {
    if (!real(handle) || nc_capturing(handle)) return nc_fail(cudaErrorStreamCaptureUnsupported);
    capture *begun = malloc(sizeof *begun);
    cudaGraph_t graph = calloc(1, sizeof *graph);
    if (!begun || !graph) nc_fatal("no memory for a stream capture");
    *begun = (capture){__atomic_add_fetch(&last_capture, 1, __ATOMIC_RELAXED), true, graph};
    real(handle)->in = begun;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *graph) {
    if (!nc_capturing(handle)) return nc_fail(cudaErrorInvalidValue);
    *graph = real(handle)->in->graph;
    real(handle)->in->active = false;
    return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t handle, enum cudaStreamCaptureStatus *status) {
    *status = nc_capturing(handle) ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    return cudaSuccess;
}
static cudaError_t capture_info(cudaStream_t handle, enum cudaStreamCaptureStatus *status,
                                unsigned long long *id, cudaGraph_t *graph) {
    cudaStreamIsCapturing(handle, status);
    bool on = *status == cudaStreamCaptureStatusActive;
    if (id) *id = on ? real(handle)->in->id : 0;
    if (graph) *graph = on ? real(handle)->in->graph : NULL;
    return cudaSuccess;
}
#if CUDART_VERSION >= 13000
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t handle, enum cudaStreamCaptureStatus *status,
                                     unsigned long long *id, cudaGraph_t *graph,
                                     const cudaGraphNode_t **nodes, const cudaGraphEdgeData **edges,
                                     size_t *count) {
    if (nodes) *nodes = NULL;
    if (edges) *edges = NULL;
    if (count) *count = 0;
    return capture_info(handle, status, id, graph);
}
#else /* CUDA 12: the header renames the plain name to _v2; _v3 adds the edges */
cudaError_t cudaStreamGetCaptureInfo_v2(cudaStream_t handle, enum cudaStreamCaptureStatus *status,
                                        unsigned long long *id, cudaGraph_t *graph,
                                        const cudaGraphNode_t **nodes, size_t *count) {
    if (nodes) *nodes = NULL;
    if (count) *count = 0;
    return capture_info(handle, status, id, graph);
}
#endif
cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode *mode) {
    static __thread enum cudaStreamCaptureMode current = cudaStreamCaptureModeGlobal;
    enum cudaStreamCaptureMode before = current;
    current = *mode;
    *mode = before;
    return cudaSuccess;
}

/* Graphs: what was captured is counted, not kept; a replay does nothing. */
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count) {
    if (!nodes) *count = graph->nodes;
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    free(graph);
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph,
                                          unsigned long long flags) {
    *exec = nc_handle();
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags) {
    return cudaGraphInstantiateWithFlags(exec, graph, flags);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t handle) {
    nc_count(NC_LAUNCHES);
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) { return cudaSuccess; }
cudaError_t cudaGraphDebugDotPrint(cudaGraph_t graph, const char *path, unsigned flags) {
    return cudaSuccess;
}
cudaError_t cudaUserObjectCreate(cudaUserObject_t *object, void *pointer, cudaHostFn_t destroy,
                                 unsigned references, unsigned flags) {
    *object = nc_handle();
    return cudaSuccess;
}
cudaError_t cudaUserObjectRelease(cudaUserObject_t object, unsigned count) { return cudaSuccess; }
cudaError_t cudaGraphRetainUserObject(cudaGraph_t graph, cudaUserObject_t object, unsigned count,
                                      unsigned flags) {
    return cudaSuccess;
}
