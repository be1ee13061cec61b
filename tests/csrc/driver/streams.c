/* Streams, events, captures and graphs, a thread's own and those that all threads share. */
#include "driver.h"

extern int ncclCommInitAll(void **, int, const int *), ncclCommDestroy(void *);
extern int ncclAllReduce(const void *, void *, size_t, int, int, void *, cudaStream_t);
extern int ncclGroupStart(void), ncclGroupEnd(void),
    ncclSend(const void *, size_t, int, int, void *, cudaStream_t);
extern int ncclRecv(void *, size_t, int, int, void *, cudaStream_t);

static void count(void *number) { ++*(int *)number; }

void stream_start(worker *w) {
    for (int i = 0; i < STREAMS; i++) LEGAL(cudaStreamCreateWithPriority(&w->streams[i], 1, -1));
    for (int i = 0; i < EVENTS; i++) LEGAL(cudaEventCreateWithFlags(&w->events[i], 2));
    float ms;
    ILLEGAL(cudaEventElapsedTime(&ms, w->events[0], w->events[1])); /* neither was recorded */
    LEGAL(ncclCommInitAll(&w->comm, 1, NULL));
}

static void recreate(worker *w) {
    unsigned i = pick(w, STREAMS), j = pick(w, EVENTS);
    cudaStream_t stream = w->streams[i];
    cudaEvent_t event = w->events[j];
    if (w->capturing[i]) return;
    ILLEGAL(cudaStreamQuery((cudaStream_t)event));
    ILLEGAL(cudaEventQuery((cudaEvent_t)stream));
    LEGAL(cudaStreamDestroy(stream));
    ILLEGAL(cudaStreamDestroy(stream));
    ILLEGAL(cudaStreamQuery(stream));
    ILLEGAL(cudaEventRecord(event, stream));
    ILLEGAL(cudaStreamWaitEvent(stream, event, 0));
    ILLEGAL(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed)); /* others go on allocating */
    LEGAL(cudaEventDestroy(event));
    ILLEGAL(cudaEventDestroy(event));
    ILLEGAL(cudaEventQuery(event));
    ILLEGAL(cudaEventRecord(event, NULL));
    ILLEGAL(cudaEventQuery((cudaEvent_t)w->stale_memory));
    ILLEGAL(cudaEventQuery(NULL));
    ILLEGAL(cudaStreamQuery((cudaStream_t)w->stale_memory));
    LEGAL(cudaStreamCreate(&w->streams[i]));
    LEGAL(cudaEventCreate(&w->events[j]));
}

static void capture(worker *w) {
    unsigned i = pick(w, STREAMS);
    cudaStream_t stream = w->streams[i];
    enum cudaStreamCaptureStatus status;
    LEGAL(cudaStreamIsCapturing(stream, &status));
    HOLDS((status == cudaStreamCaptureStatusActive) == w->capturing[i]);
    if (!w->capturing[i]) {
        cudaGraph_t none;
        ILLEGAL(cudaStreamEndCapture(stream, &none));
        ILLEGAL(cudaStreamBeginCapture(NULL, cudaStreamCaptureModeGlobal));
        LEGAL(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed)); /* others go on allocating */
        w->capturing[i] = true;
        return;
    }
    cudaGraph_t graph;
    cudaGraphExec_t runs;
    size_t before = 0, nodes = 0;
    int counted = 0;
    ILLEGAL(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed)); /* others go on allocating */
    ILLEGAL(cudaStreamSynchronize(stream));
    ILLEGAL(cudaStreamQuery(stream));
    LEGAL(cudaLaunchHostFunc(stream, count, &counted));
    HOLDS(counted == 0);
    LEGAL(cudaMemsetAsync(shared_memory + MIB / 2, 0, 64, stream)); /* captured: nothing is written */
    LEGAL(cudaStreamEndCapture(stream, &graph));
    w->capturing[i] = false;
    LEGAL(cudaGraphGetNodes(graph, NULL, &before));
    HOLDS(before >= 2);
    LEGAL(cudaMemsetAsync(w->stale_memory, 0, 1, stream)); /* no longer captured */
    LEGAL(cudaGraphGetNodes(graph, NULL, &nodes));
    HOLDS(nodes == before);
    LEGAL(cudaGraphInstantiateWithFlags(&runs, graph, 0));
    LEGAL(cudaGraphLaunch(runs, stream));
    LEGAL(cudaGraphExecDestroy(runs));
    LEGAL(cudaGraphDestroy(graph));
    ILLEGAL(cudaGraphDestroy(graph));
    ILLEGAL(cudaGraphGetNodes(graph, NULL, &nodes));
    ILLEGAL(cudaGraphInstantiateWithFlags(&runs, NULL, 0));
}

/* A second stream of the thread joins a capture by an event, and leaves it with its end. */
static void join(worker *w) {
    cudaStream_t first, second;
    cudaEvent_t event = w->events[pick(w, EVENTS)];
    cudaGraph_t graph;
    enum cudaStreamCaptureStatus status;
    LEGAL(cudaStreamCreate(&first));
    LEGAL(cudaStreamCreate(&second));
    LEGAL(cudaStreamBeginCapture(first, cudaStreamCaptureModeRelaxed));
    LEGAL(cudaEventRecord(event, first));
    LEGAL(cudaStreamWaitEvent(second, event, 0));
    LEGAL(cudaStreamIsCapturing(second, &status));
    HOLDS(status == cudaStreamCaptureStatusActive);
    LEGAL(cudaStreamEndCapture(first, &graph));
    LEGAL(cudaStreamIsCapturing(second, &status));
    HOLDS(status == cudaStreamCaptureStatusNone);
    LEGAL(cudaStreamWaitEvent(second, event, 0)); /* of a capture that has ended: joins nothing */
    LEGAL(cudaStreamSynchronize(second));
    LEGAL(cudaGraphDestroy(graph));
    LEGAL(cudaStreamDestroy(first));
    LEGAL(cudaStreamDestroy(second));
}

/* What may wait for the card is forbidden meanwhile, and ends the capture without a graph; unless the thread says that
 * it knows. */
static void forbidden(worker *w) {
    cudaStream_t stream;
    cudaGraph_t graph = (cudaGraph_t)w->stale_memory;
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    void *memory;
    bool knows = pick(w, 2);
    LEGAL(cudaStreamCreate(&stream));
    LEGAL(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    if (knows) {
        LEGAL(cudaThreadExchangeStreamCaptureMode(&mode));
        LEGAL(cudaDeviceSynchronize());
        LEGAL(cudaThreadExchangeStreamCaptureMode(&mode));
        LEGAL(cudaStreamEndCapture(stream, &graph));
        LEGAL(cudaGraphDestroy(graph));
    } else {
        ILLEGAL(cudaMalloc(&memory, 1));
        ILLEGAL(cudaDeviceSynchronize());
        ILLEGAL(cudaStreamEndCapture(stream, &graph));
        HOLDS(graph == NULL);
    }
    LEGAL(cudaStreamDestroy(stream));
}

static void together(worker *w) { /* handles that other threads use at the same time */
    cudaStream_t stream = shared_streams[pick(w, 4)];
    cudaEvent_t event = shared_events[pick(w, 8)];
    unsigned long long id;
    float ms;
    int priority, counted = 0;
    LEGAL(cudaEventRecord(event, stream));
    LEGAL(cudaStreamWaitEvent(shared_streams[pick(w, 4)], event, 0));
    EITHER(cudaEventQuery(event));
    LEGAL(cudaStreamGetId(stream, &id));
    LEGAL(cudaStreamGetPriority(stream, &priority));
    LEGAL(cudaEventElapsedTime(&ms, event, shared_events[0]));
    LEGAL(cudaLaunchHostFunc(stream, count, &counted));
    HOLDS(counted == 1);
    if (!pick(w, 20)) LEGAL(cudaEventSynchronize(event));
    if (!pick(w, 20)) LEGAL(cudaStreamSynchronize(stream));
}

static void exchange(worker *w) { /* a collective, and the event that ProcessGroupNCCL records after it */
    cudaStream_t stream = shared_streams[pick(w, 4)];
    if (pick(w, 2)) LEGAL(ncclAllReduce(NULL, NULL, 0, 7, 0, w->comm, stream));
    else {
        char *from = w->stale_memory, *to = w->stale_memory + 32;
        LEGAL(ncclGroupStart());
        LEGAL(ncclSend(from, 16, 0, 0, w->comm, stream));
        LEGAL(ncclRecv(to, 16, 0, 0, w->comm, stream));
        LEGAL(ncclGroupEnd());
        ILLEGAL(ncclGroupEnd());
        ILLEGAL(ncclSend(from, 16, 0, 1, w->comm, stream));
    }
    LEGAL(cudaEventRecord(shared_events[pick(w, 8)], stream));
    if (!pick(w, 10)) LEGAL(cudaDeviceSynchronize());
}

void stream_step(worker *w) {
    unsigned which = pick(w, 60);
    if (which < 8) recreate(w);
    else if (which < 25) capture(w);
    else if (which < 30) join(w);
    else if (which < 31) exchange(w);
    else if (which < 33) forbidden(w);
    else together(w);
}

void stream_end(worker *w) {
    void *comm = w->comm;
    for (int i = 0; i < STREAMS; i++) {
        cudaGraph_t graph;
        if (w->capturing[i]) {
            LEGAL(cudaStreamEndCapture(w->streams[i], &graph));
            LEGAL(cudaGraphDestroy(graph));
        }
        LEGAL(cudaStreamDestroy(w->streams[i]));
    }
    for (int i = 0; i < EVENTS; i++) LEGAL(cudaEventDestroy(w->events[i]));
    LEGAL(ncclCommDestroy(comm));
    ILLEGAL(ncclCommDestroy(comm));
}
