/* Stream capture and graphs: what was captured is counted, not kept; a replay does nothing. */
#include "answers/answers.h"
#include "work/capture.h"

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, enum cudaStreamCaptureMode mode) {
    if (!nc_stream_valid(handle)) return nc_fail(cudaErrorInvalidResourceHandle);
    if ((unsigned)mode > cudaStreamCaptureModeRelaxed) return nc_fail(cudaErrorInvalidValue);
    return nc_capture_begin(handle, mode) ? cudaSuccess : nc_fail(cudaErrorStreamCaptureUnsupported);
}
cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *graph) {
    if (!graph) return nc_fail(cudaErrorInvalidValue);
    bool invalid = false;
    cudaGraph_t captured = nc_capture_end(handle, &invalid);
    *graph = invalid ? NULL : captured;
    if (!captured) return nc_fail(cudaErrorInvalidValue);
    if (!invalid) return cudaSuccess;
    nc_object_delete(captured, NC_GRAPH);
    return nc_fail(cudaErrorStreamCaptureInvalidated);
}
static cudaError_t capture_info(cudaStream_t handle, enum cudaStreamCaptureStatus *status,
                                unsigned long long *id, cudaGraph_t *graph) {
    if (!nc_stream_valid(handle)) return nc_fail(cudaErrorInvalidResourceHandle);
    if (!status) return nc_fail(cudaErrorInvalidValue);
    nc_capture capture = nc_capture_of(handle);
    *status = capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    if (id) *id = capture;
    if (graph) *graph = nc_capture_graph(handle);
    return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t handle, enum cudaStreamCaptureStatus *status) {
    return capture_info(handle, status, NULL, NULL);
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
    if (!mode || (unsigned)*mode > cudaStreamCaptureModeRelaxed) return nc_fail(cudaErrorInvalidValue);
    *mode = nc_capture_exchange(*mode);
    return cudaSuccess;
}

static bool is_graph(cudaGraph_t graph) { return nc_object_is(graph, NC_GRAPH); }

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count) {
    if (!is_graph(graph) || !count) return nc_fail(cudaErrorInvalidValue);
    if (!nodes) *count = __atomic_load_n(&graph->nodes, __ATOMIC_RELAXED);
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    return nc_object_delete(graph, NC_GRAPH) ? cudaSuccess : nc_fail(cudaErrorInvalidValue);
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph,
                                          unsigned long long flags) {
    if (!is_graph(graph) || !exec) return nc_fail(cudaErrorInvalidValue);
    *exec = nc_handle();
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags) {
    return cudaGraphInstantiateWithFlags(exec, graph, flags);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t handle) {
    if (!exec) return nc_fail(cudaErrorInvalidValue);
    nc_count(NC_LAUNCHES);
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) { return cudaSuccess; }
cudaError_t cudaGraphDebugDotPrint(cudaGraph_t graph, const char *path, unsigned flags) {
    return cudaSuccess;
}
cudaError_t cudaUserObjectCreate(cudaUserObject_t *object, void *pointer, cudaHostFn_t destroy,
                                 unsigned references, unsigned flags) {
    NEEDS_ROOM(object);
    *object = nc_handle();
    return cudaSuccess;
}
cudaError_t cudaUserObjectRelease(cudaUserObject_t object, unsigned count) { return cudaSuccess; }
cudaError_t cudaGraphRetainUserObject(cudaGraph_t graph, cudaUserObject_t object, unsigned count,
                                      unsigned flags) {
    return cudaSuccess;
}
