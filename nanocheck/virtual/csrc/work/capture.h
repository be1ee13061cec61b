/* What is behind the handles of streams and graphs: numbers, and whether they are being captured. */
#ifndef NANOCHECK_CAPTURE_H
#define NANOCHECK_CAPTURE_H
#include "base/base.h"

struct CUgraph_st {
    size_t nodes;
};
typedef struct {
    unsigned long long id;
    bool active;
    cudaGraph_t graph;
} nc_capture; /* kept for ever: few, small */
typedef struct {
    int priority;
    unsigned flags;
    unsigned long long id;
    nc_capture *in;
} nc_stream;

NC_HIDDEN nc_stream *nc_stream_of(cudaStream_t handle); /* NULL: the legacy and per-thread streams */
NC_HIDDEN bool nc_capturing(cudaStream_t handle);
NC_HIDDEN void nc_capture_node(cudaStream_t handle); /* one more node, if the stream is capturing */

#endif
