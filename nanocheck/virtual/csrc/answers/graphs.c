/* Stream capture and graphs: what was captured is counted, not kept; a replay does nothing. */
#include "answers/answers.h"
#include "work/capture.h"
#include <stdlib.h>

static unsigned long long last_capture;

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, enum cudaStreamCaptureMode mode) {
    if (!nc_stream_of(handle) || nc_capturing(handle)) return nc_fail(cudaErrorStreamCaptureUnsupported);
    nc_capture *begun = malloc(sizeof *begun);
    cudaGraph_t graph = calloc(1, sizeof *graph);
    if (!begun || !graph) nc_fatal("no memory for a stream capture");
    *begun = (nc_capture){__atomic_add_fetch(&last_capture, 1, __ATOMIC_RELAXED), true, graph};
    nc_stream_of(handle)->in = begun;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *graph) {
    if (!nc_capturing(handle)) return nc_fail(cudaErrorInvalidValue);
    *graph = nc_stream_of(handle)->in->graph;
    nc_stream_of(handle)->in->active = false;
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
    if (id) *id = on ? nc_stream_of(handle)->in->id : 0;
    if (graph) *graph = on ? nc_stream_of(handle)->in->graph : NULL;
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
