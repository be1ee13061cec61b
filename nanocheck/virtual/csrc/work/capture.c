/* Stream capture: what is captured is counted, not kept.
 *
 * A capture is a number, which streams and events carry along: a stream that waits for an event recorded in a
 * capturing stream joins that capture. Whether it still goes on is looked up; that it has ended need not be told
 * to those who joined.
 */
#include "work/capture.h"
#include "base/locks.h"
#include "base/objects.h"
#include "base/report.h"
#include <stdlib.h>

_Static_assert(sizeof(nc_stream) <= NC_OBJECT_BYTES && sizeof(struct CUgraph_st) <= NC_OBJECT_BYTES, "fits");

typedef struct active {
    struct active *next;
    nc_capture number;
    cudaGraph_t graph;
    enum cudaStreamCaptureMode mode;
    const void *thread; /* that began it: the address of its `mine` */
    bool invalid;       /* something was called that a capture forbids */
} active;
static active *captures; /* those that go on: none or one, nearly always */
static int going_on;     /* how many, to be read without the lock */
static nc_capture last;
static __thread enum cudaStreamCaptureMode mine = cudaStreamCaptureModeGlobal;

nc_stream *
nc_stream_of(cudaStream_t handle) { /* the legacy and per-thread streams (0, 1, 2) cannot capture */
    return nc_object_is(handle, NC_STREAM) ? (nc_stream *)handle : NULL;
}

bool nc_stream_valid(cudaStream_t handle) { return (uintptr_t)handle <= 2 || nc_stream_of(handle); }

static active **find(nc_capture number) { /* under the lock; at NULL if it has ended */
    active **at = &captures;
    while (*at && (*at)->number != number) at = &(*at)->next;
    return at;
}

/* With the lock taken, the capture that this stream takes part in; NULL, and then without it. */
static active *locked(cudaStream_t handle) {
    nc_stream *s = nc_stream_of(handle);
    nc_capture number = s ? __atomic_load_n(&s->capture, __ATOMIC_RELAXED) : 0;
    if (!number) return NULL; /* as nearly always */
    nc_lock(NC_LOCK_CAPTURES);
    active *found = *find(number);
    if (found) return found;
    __atomic_compare_exchange_n(&s->capture, &number, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    nc_unlock(NC_LOCK_CAPTURES);
    return NULL;
}

nc_capture nc_capture_of(cudaStream_t handle) {
    active *found = locked(handle);
    if (!found) return 0;
    nc_capture number = found->number;
    nc_unlock(NC_LOCK_CAPTURES);
    return number;
}

cudaGraph_t nc_capture_graph(cudaStream_t handle) {
    active *found = locked(handle);
    if (!found) return NULL;
    cudaGraph_t graph = found->graph;
    nc_unlock(NC_LOCK_CAPTURES);
    return graph;
}

void nc_capture_node(cudaStream_t handle) {
    active *found = locked(handle);
    if (!found) return;
    if (nc_object_is(found->graph, NC_GRAPH)) __atomic_add_fetch(&found->graph->nodes, 1, __ATOMIC_RELAXED);
    nc_unlock(NC_LOCK_CAPTURES);
}

enum cudaStreamCaptureMode nc_capture_exchange(enum cudaStreamCaptureMode mode) {
    enum cudaStreamCaptureMode before = mine;
    mine = mode;
    return before;
}

/* As cudaThreadExchangeStreamCaptureMode documents. */
static bool forbids(const active *a) {
    if (mine == cudaStreamCaptureModeRelaxed) return false;
    bool own = a->thread == &mine;
    if (mine == cudaStreamCaptureModeThreadLocal) return own && a->mode != cudaStreamCaptureModeRelaxed;
    return a->mode == cudaStreamCaptureModeGlobal || (own && a->mode == cudaStreamCaptureModeThreadLocal);
}
bool nc_capture_forbids(void) {
    if (!__atomic_load_n(&going_on, __ATOMIC_RELAXED)) return false;
    bool any = false;
    nc_lock(NC_LOCK_CAPTURES);
    for (active *a = captures; a; a = a->next) {
        if (!forbids(a)) continue;
        a->invalid = any = true;
    }
    nc_unlock(NC_LOCK_CAPTURES);
    return any;
}

bool nc_capture_begin(cudaStream_t handle, enum cudaStreamCaptureMode mode) {
    nc_stream *s = nc_stream_of(handle);
    if (!s || nc_capturing(handle)) return false;
    active *begun = malloc(sizeof *begun);
    cudaGraph_t graph = nc_object_new(NC_GRAPH);
    if (!begun || !graph) nc_fatal("no memory for a stream capture");
    nc_capture none = 0, number = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
    nc_lock(NC_LOCK_CAPTURES);
    bool first =
        __atomic_compare_exchange_n(&s->capture, &none, number, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    *begun = (active){captures, number, graph, mode, &mine, false};
    if (first) captures = begun;
    if (first) __atomic_add_fetch(&going_on, 1, __ATOMIC_RELAXED);
    nc_unlock(NC_LOCK_CAPTURES);
    if (first) return true;
    free(begun); /* another thread was faster */
    nc_object_delete(graph, NC_GRAPH);
    return false;
}

cudaGraph_t nc_capture_end(cudaStream_t handle, bool *invalid) {
    active *found = locked(handle);
    if (!found) return NULL;
    cudaGraph_t graph = found->graph;
    *find(found->number) = found->next;
    __atomic_sub_fetch(&going_on, 1, __ATOMIC_RELAXED);
    *invalid = found->invalid;
    nc_unlock(NC_LOCK_CAPTURES);
    free(found);
    return graph;
}

void nc_capture_join(cudaStream_t handle, nc_capture capture) {
    nc_stream *s = nc_stream_of(handle);
    if (!s || !capture) return;
    nc_lock(NC_LOCK_CAPTURES);
    if (*find(capture)) __atomic_store_n(&s->capture, capture, __ATOMIC_RELAXED);
    nc_unlock(NC_LOCK_CAPTURES);
}
