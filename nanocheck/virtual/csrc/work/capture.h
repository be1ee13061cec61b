/* What is behind the handles of streams and graphs, and which streams are being captured. */
#ifndef NANOCHECK_CAPTURE_H
#define NANOCHECK_CAPTURE_H
#include "base/base.h"

struct CUgraph_st {
    size_t nodes;
};
typedef unsigned long long nc_capture; /* the number of a capture; 0: none */
typedef struct {
    int priority;
    unsigned flags;
    unsigned long long id;
    nc_capture capture; /* may have ended since: ask nc_capture_of */
} nc_stream;

NC_HIDDEN nc_stream *nc_stream_of(cudaStream_t handle); /* NULL: a default stream, or none at all */
NC_HIDDEN bool nc_stream_valid(cudaStream_t handle);

/* False: a default stream, or capturing already. */
NC_HIDDEN bool nc_capture_begin(cudaStream_t handle, enum cudaStreamCaptureMode mode);
/* NULL: it was not capturing. Invalid: something was called meanwhile that it forbids. */
NC_HIDDEN cudaGraph_t nc_capture_end(cudaStream_t handle, bool *invalid);
/* Whether a capture that goes on, somewhere, forbids this thread calls that are not captured and may wait for the
 * card. If so, that capture is invalid from now on. */
NC_HIDDEN bool nc_capture_forbids(void);
NC_HIDDEN enum cudaStreamCaptureMode nc_capture_exchange(enum cudaStreamCaptureMode mode); /* the thread's */
NC_HIDDEN nc_capture nc_capture_of(cudaStream_t handle);                 /* that it takes part in now */
NC_HIDDEN void nc_capture_join(cudaStream_t handle, nc_capture capture); /* unless that has ended */
NC_HIDDEN cudaGraph_t nc_capture_graph(cudaStream_t handle);
NC_HIDDEN void nc_capture_node(cudaStream_t handle); /* one more node, if the stream is capturing */
static inline bool nc_capturing(cudaStream_t handle) { return nc_capture_of(handle) != 0; }

#endif
