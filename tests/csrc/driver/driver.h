/* What the parts of the driver share: one worker a thread, how a call is judged, and the random numbers. */
#ifndef DRIVER_H
#define DRIVER_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)
enum {
    THREADS = 64,
    BLOCKS = 24,
    MODEL = 1024,
    RANGES = 3,
    PIECES = 8,
    HANDLES = 6,
    STREAMS = 6,
    EVENTS = 8
};

/* One allocation, and what is to be known of its first bytes: values, and a known length for each 512 of them. */
typedef struct {
    char *at;
    size_t bytes;
    size_t known[MODEL / 512];
    unsigned char values[MODEL];
} block;

typedef struct {
    CUdeviceptr at;         /* 0: not reserved */
    int handle[PIECES];     /* index of what is mapped at this granule; -1: nothing */
    bool continued[PIECES]; /* the mapping began in an earlier granule */
} range;

typedef struct {
    CUmemGenericAllocationHandle handle;
    size_t bytes;
    int mappings;
    bool released; /* but still mapped */
} physical;

typedef struct {
    unsigned seed;
    int number;
    long calls, most;
    long fresh, missed; /* writes from a block's start, and those that were not known right afterwards */
    size_t held;        /* bytes of the card that this thread has */
    block blocks[BLOCKS];
    void *pinned[4], *managed[4], *blas[2], *comm, *dnn;
    range ranges[RANGES];
    physical handles[HANDLES];
    cudaStream_t streams[STREAMS];
    bool capturing[STREAMS];
    cudaEvent_t events[EVENTS];
    char stale_memory[64]; /* not a handle of anything */
    unsigned long long seen[8], peak;
    void *ranks[3];
    bool used; /* those of `ranks` */
    int nvml, met;
} worker;

extern cudaStream_t shared_streams[4];
extern cudaEvent_t shared_events[8];
extern char *shared_memory;
extern size_t total_bytes, start_bytes;

unsigned pick(worker *w, unsigned below);
void complain(const char *file, int line, const char *what, long got);

/* A call that must succeed, one that must fail, one that may do either; each is counted. */
#define LEGAL(call)                                                    \
    do {                                                               \
        long got_ = (w->calls++, (long)(call));                        \
        if (got_) complain(__FILE__, __LINE__, "legal: " #call, got_); \
    } while (0)
#define ILLEGAL(call)                                                                            \
    do {                                                                                         \
        if ((w->calls++, (long)(call)) == 0) complain(__FILE__, __LINE__, "illegal: " #call, 0); \
    } while (0)
#define EITHER(call) (w->calls++, (long)(call))
#define HOLDS(condition)                                               \
    do {                                                               \
        if (!(condition)) complain(__FILE__, __LINE__, #condition, 0); \
    } while (0)

void memory_step(worker *w);
void memory_end(worker *w);
void mapping_step(worker *w);
void mapping_end(worker *w);
void register_kernels(void);
void kernel_step(worker *w);
void stream_step(worker *w);
void stream_start(worker *w);
void stream_end(worker *w);
void library_step(worker *w);
void library_start(worker *w);
void library_end(worker *w);
void ranks_start(int threads);
void ranks_stop(int threads);
void ranks_meet(worker *w, int threads);
size_t ranks_held(const worker *w, int threads); /* by NCCL, between meetings */
void ranks_step(worker *w);
void ranks_end(worker *w);
/* For kernel_step: what it launches on is unknown from `offset` on. */
block *some_block(worker *w);
void model_lose(block *b, size_t offset);
void model_set(block *b, size_t offset, size_t bytes, const unsigned char *values);
void model_check(worker *w, block *b);

#endif
