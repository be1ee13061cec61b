/* Stream capture: what is captured is counted, not kept. */
#include "work/capture.h"

/* The legacy and per-thread streams (0, 1, 2) cannot capture. */
nc_stream *nc_stream_of(cudaStream_t handle) { return (uintptr_t)handle <= 2 ? NULL : (nc_stream *)handle; }

bool nc_capturing(cudaStream_t handle) {
    return nc_stream_of(handle) && nc_stream_of(handle)->in && nc_stream_of(handle)->in->active;
}
void nc_capture_node(cudaStream_t handle) {
    if (nc_capturing(handle)) nc_stream_of(handle)->in->graph->nodes++;
}
