/* NCCL for a group of one rank: what PyTorch's own ProcessGroupNCCL runs on.
 *
 * With one rank every collective is a copy from input to output, as in NCCL itself, and follows the
 * rules of transfer.c. What NCCL allocates for itself (outside PyTorch's allocator) counts as zero.
 * More ranks would need results of cards that are not there: that stops the run with its name.
 * The declarations are those of the installed wheel's nccl.h, which is C++ beyond these guards.
 */
#include "nc.h"
#define __CUDA_RUNTIME_H__
#define __CUDA_FP16_H__
#define __CUDA_BF16_H__
#define __CUDA_FP8_H__
#include <nccl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ncclComm {
    int device;
};
typedef struct {
    const void *from;
    void *to;
    size_t bytes;
    ncclComm_t comm;
    cudaStream_t stream;
} message;

/* A message to oneself is a send and a receive of one group; they meet when the group ends. */
enum { MESSAGES = 1024 };
static __thread message sends[MESSAGES], receives[MESSAGES];
static __thread int depth, sent, received;
static __thread const char *last_error = "";

static ncclResult_t fail(ncclResult_t result, const char *why) {
    last_error = why;
    return result;
}

static size_t size_of(ncclDataType_t type) {
    static const unsigned char BYTES[] = {1, 1, 4, 4, 8, 8,
                                          2, 4, 8, 2, 1, 1}; /* in the order of ncclDataType_t */
    if ((unsigned)type >= sizeof BYTES) nc_fatal("NCCL data type %d is not known", (int)type);
    return BYTES[type];
}

static ncclResult_t copy(const void *from, void *to, size_t count, ncclDataType_t type, cudaStream_t stream) {
    size_t bytes = count * size_of(type);
    nc_collective_issued(stream);
    if (from != to && bytes) cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
    return ncclSuccess;
}

/* A user-made operator multiplies first: a kernel, so its result is not computed. */
static ncclResult_t reduce(const void *from, void *to, size_t count, ncclDataType_t type, ncclRedOp_t op,
                           cudaStream_t stream) {
    if ((int)op < ncclNumOps) return copy(from, to, count, type, stream);
    nc_collective_issued(stream);
    nc_count(NC_LAUNCHES);
    nc_capture_node(stream);
    return ncclSuccess;
}

/* ---- communicators ---- */
static ncclResult_t create(ncclComm_t *comm, int ranks, int rank, const char *symbol) {
    if (ranks != 1) {
        char what[96];
        snprintf(what, sizeof what, "%s for %d ranks", symbol, ranks);
        nc_refuse(what, "It is one card, and there is no other to exchange data with.\n"
                        "  Run one process: torchrun --nproc_per_node=1, or WORLD_SIZE=1.");
    }
    if (rank != 0) return fail(ncclInvalidArgument, "the rank is not below the number of ranks");
    if (!(*comm = calloc(1, sizeof **comm))) return fail(ncclSystemError, "no memory for a communicator");
    cudaGetDevice(&(*comm)->device);
    return ncclSuccess;
}
ncclResult_t ncclGetVersion(int *version) {
    *version = NCCL_VERSION_CODE;
    return ncclSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
    static unsigned made;
    memset(id, 0, sizeof *id);
    snprintf(id->internal, sizeof id->internal, "nanocheck %d %u", (int)getpid(),
             __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED));
    return ncclSuccess;
}
ncclResult_t ncclCommInitRank(ncclComm_t *comm, int ranks, ncclUniqueId id, int rank) {
    return create(comm, ranks, rank, __func__);
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t *config) {
    return create(comm, ranks, rank, __func__);
}
ncclResult_t ncclCommInitRankScalable(ncclComm_t *comm, int ranks, int rank, int count, ncclUniqueId *ids,
                                      ncclConfig_t *config) {
    return create(comm, ranks, rank, __func__);
}
ncclResult_t ncclCommInitAll(ncclComm_t *comms, int devices, const int *list) {
    return create(comms, devices, 0, __func__);
}
ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t *made, ncclConfig_t *config) {
    *made = NULL;
    return color == NCCL_SPLIT_NOCOLOR ? ncclSuccess : create(made, 1, 0, __func__);
}
ncclResult_t ncclCommFinalize(ncclComm_t comm) { return ncclSuccess; }
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
    free(comm);
    return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
    free(comm);
    return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error) {
    *error = ncclSuccess;
    return ncclSuccess;
}
ncclResult_t ncclCommCount(const ncclComm_t comm, int *count) {
    *count = 1;
    return ncclSuccess;
}
ncclResult_t ncclCommUserRank(const ncclComm_t comm, int *rank) {
    *rank = 0;
    return ncclSuccess;
}
ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int *device) {
    *device = comm->device;
    return ncclSuccess;
}
const char *ncclGetLastError(ncclComm_t comm) { return last_error; }
const char *ncclGetErrorString(ncclResult_t result) {
    switch (result) {
    case ncclSuccess: return "no error";
    case ncclSystemError: return "unhandled system error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    default: return "error of the virtual GPU's NCCL";
    }
}

/* ---- memory: registration costs nothing, allocation comes from the card ---- */
ncclResult_t ncclMemAlloc(void **address, size_t bytes) {
    return cudaMalloc(address, bytes) == cudaSuccess ? ncclSuccess
                                                     : fail(ncclUnhandledCudaError, "out of memory");
}
ncclResult_t ncclMemFree(void *address) {
    cudaFree(address);
    return ncclSuccess;
}
ncclResult_t ncclCommRegister(const ncclComm_t comm, void *buffer, size_t bytes, void **handle) {
    *handle = nc_handle();
    return ncclSuccess;
}
ncclResult_t ncclCommDeregister(const ncclComm_t comm, void *handle) { return ncclSuccess; }
ncclResult_t ncclCommWindowRegister(ncclComm_t comm, void *buffer, size_t bytes, ncclWindow_t *window,
                                    int flags) {
    return ncclCommRegister(comm, buffer, bytes, (void **)window);
}
ncclResult_t ncclCommWindowDeregister(ncclComm_t comm, ncclWindow_t window) { return ncclSuccess; }

/* ---- collectives ---- */
ncclResult_t ncclRedOpCreatePreMulSum(ncclRedOp_t *op, void *scalar, ncclDataType_t type,
                                      ncclScalarResidence_t where, ncclComm_t comm) {
    *op = ncclNumOps;
    return ncclSuccess;
}
ncclResult_t ncclRedOpDestroy(ncclRedOp_t op, ncclComm_t comm) { return ncclSuccess; }
ncclResult_t ncclAllReduce(const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream) {
    return reduce(from, to, n, type, op, stream);
}
ncclResult_t ncclReduce(const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t op, int root,
                        ncclComm_t comm, cudaStream_t stream) {
    return reduce(from, to, n, type, op, stream);
}
ncclResult_t ncclReduceScatter(const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t op,
                               ncclComm_t comm, cudaStream_t stream) {
    return reduce(from, to, n, type, op, stream);
}
ncclResult_t ncclBcast(void *buffer, size_t n, ncclDataType_t type, int root, ncclComm_t comm,
                       cudaStream_t stream) {
    return copy(buffer, buffer, n, type, stream);
}
ncclResult_t ncclAllGather(const void *from, void *to, size_t n, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
    return copy(from, to, n, type, stream);
}
ncclResult_t ncclAlltoAll(const void *from, void *to, size_t n, ncclDataType_t type, ncclComm_t comm,
                          cudaStream_t stream) {
    return copy(from, to, n, type, stream);
}
#define WITH_ROOT(name)                                                                                     \
    ncclResult_t name(const void *from, void *to, size_t n, ncclDataType_t type, int root, ncclComm_t comm, \
                      cudaStream_t stream) {                                                                \
        return copy(from, to, n, type, stream);                                                             \
    }
WITH_ROOT(ncclBroadcast)
WITH_ROOT(ncclGather)
WITH_ROOT(ncclScatter)

/* ---- messages to oneself ---- */
ncclResult_t ncclGroupStart(void) {
    depth++;
    return ncclSuccess;
}
ncclResult_t ncclGroupEnd(void) {
    if (!depth) return fail(ncclInvalidUsage, "ncclGroupEnd without ncclGroupStart");
    if (--depth) return ncclSuccess;
    int posted = sent, wanted = received;
    sent = received = 0;
    if (posted != wanted)
        return fail(ncclInvalidUsage, "a message to oneself needs a send and a receive in one group");
    for (int i = 0; i < posted; i++) {
        if (sends[i].bytes != receives[i].bytes || sends[i].comm != receives[i].comm)
            return fail(ncclInvalidUsage, "a send and its receive differ in size or communicator");
        copy(sends[i].from, receives[i].to, sends[i].bytes, ncclInt8, receives[i].stream);
    }
    return ncclSuccess;
}
static ncclResult_t post(message *list, int *count, message posted, int peer) {
    if (peer != 0) return fail(ncclInvalidArgument, "the peer is not below the number of ranks");
    if (*count == MESSAGES) nc_fatal("more than %d NCCL messages in one group", MESSAGES);
    depth++; /* alone, it is a group of its own */
    list[(*count)++] = posted;
    return ncclGroupEnd();
}
ncclResult_t ncclSend(const void *from, size_t n, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
    return post(sends, &sent, (message){from, NULL, n * size_of(type), comm, stream}, peer);
}
ncclResult_t ncclRecv(void *to, size_t n, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
    return post(receives, &received, (message){NULL, to, n * size_of(type), comm, stream}, peer);
}
