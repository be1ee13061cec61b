/* Collectives and messages. A rank's own part is as it wrote it; the others' is what follows. */
#include "answers/nccl.h"
#include "values/known.h"
#include "work/capture.h"
#include "work/collectives.h"

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

static size_t size_of(ncclDataType_t type) {
    static const unsigned char BYTES[] = {1, 1, 4, 4, 8, 8,
                                          2, 4, 8, 2, 1, 1}; /* in the order of ncclDataType_t */
    if ((unsigned)type >= sizeof BYTES) nc_fatal("NCCL data type %d is not known", (int)type);
    return BYTES[type];
}

static ncclResult_t copy(const void *from, void *to, size_t count, ncclDataType_t type, cudaStream_t stream) {
    size_t bytes = count * size_of(type);
    nc_collective_issued(stream, nc_capturing(stream));
    if (from != to && bytes) cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
    return ncclSuccess;
}

/* A user-made operator multiplies first: a kernel, so its result is not computed. */
static ncclResult_t reduce(const void *from, void *to, size_t count, ncclDataType_t type, ncclRedOp_t op,
                           cudaStream_t stream) {
    if ((int)op < ncclNumOps) return copy(from, to, count, type, stream);
    nc_collective_issued(stream, nc_capturing(stream));
    nc_count(NC_LAUNCHES);
    nc_capture_node(stream);
    return ncclSuccess;
}

ncclResult_t ncclRedOpCreatePreMulSum(ncclRedOp_t *op, void *scalar, ncclDataType_t type,
                                      ncclScalarResidence_t where, ncclComm_t comm) {
    *op = ncclNumOps;
    return ncclSuccess;
}
ncclResult_t ncclRedOpDestroy(ncclRedOp_t op, ncclComm_t comm) { return ncclSuccess; }
/* ---- what the others contribute ----
 * Ranks of a symmetric training write the same sizes and the same kind of values at the same place: where another
 * rank's part is asked for and it is not there, it is taken to be this rank's own. Whether its value was known
 * follows the copy.
 */
static char *part(const void *of, int which, size_t bytes) { return (char *)of + (size_t)which * bytes; }

static ncclResult_t from_all(const void *from, void *to, size_t n, ncclDataType_t type, ncclComm_t comm,
                             cudaStream_t stream) {
    size_t bytes = n * size_of(type);
    nc_collective_issued(stream, nc_capturing(stream));
    for (int rank = 0; rank < comm->ranks && bytes; rank++)
        if (part(to, rank, bytes) != from)
            cudaMemcpyAsync(part(to, rank, bytes), from, bytes, cudaMemcpyDeviceToDevice, stream);
    return ncclSuccess;
}
ncclResult_t ncclAllReduce(const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream) {
    return reduce(from, to, n, type, op, stream);
}
ncclResult_t ncclReduce(const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t op, int root,
                        ncclComm_t comm, cudaStream_t stream) {
    return reduce(from, comm->rank == root ? to : (void *)from, n, type, op, stream);
}
ncclResult_t ncclReduceScatter(const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t op,
                               ncclComm_t comm, cudaStream_t stream) {
    return reduce(part(from, comm->rank, n * size_of(type)), to, n, type, op, stream);
}
ncclResult_t ncclBcast(void *buffer, size_t n, ncclDataType_t type, int root, ncclComm_t comm,
                       cudaStream_t stream) {
    return copy(buffer, buffer, n, type, stream);
}
ncclResult_t ncclBroadcast(const void *from, void *to, size_t n, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
    return comm->rank == root ? copy(from, to, n, type, stream) : copy(to, to, n, type, stream);
}
ncclResult_t ncclAllGather(const void *from, void *to, size_t n, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
    return from_all(from, to, n, type, comm, stream);
}
ncclResult_t ncclAlltoAll(const void *from, void *to, size_t n, ncclDataType_t type, ncclComm_t comm,
                          cudaStream_t stream) {
    return from_all(part(from, comm->rank, n * size_of(type)), to, n, type, comm, stream);
}
ncclResult_t ncclGather(const void *from, void *to, size_t n, ncclDataType_t type, int root, ncclComm_t comm,
                        cudaStream_t stream) {
    return comm->rank == root ? from_all(from, to, n, type, comm, stream)
                              : copy(from, (void *)from, n, type, stream);
}
ncclResult_t ncclScatter(const void *from, void *to, size_t n, ncclDataType_t type, int root, ncclComm_t comm,
                         cudaStream_t stream) {
    return comm->rank == root ? copy(part(from, root, n * size_of(type)), to, n, type, stream)
                              : copy(to, to, n, type, stream);
}

/* ---- messages to oneself ---- */
ncclResult_t ncclGroupStart(void) {
    depth++;
    return ncclSuccess;
}
ncclResult_t ncclGroupEnd(void) {
    if (!depth) return nc_nccl_fail(ncclInvalidUsage, "ncclGroupEnd without ncclGroupStart");
    if (--depth) return ncclSuccess;
    int posted = sent, wanted = received;
    sent = received = 0;
    if (posted != wanted)
        return nc_nccl_fail(ncclInvalidUsage, "a message to oneself needs a send and a receive in one group");
    for (int i = 0; i < posted; i++) {
        if (sends[i].bytes != receives[i].bytes || sends[i].comm != receives[i].comm)
            return nc_nccl_fail(ncclInvalidUsage, "a send and its receive differ in size or communicator");
        copy(sends[i].from, receives[i].to, sends[i].bytes, ncclInt8, receives[i].stream);
    }
    return ncclSuccess;
}
static ncclResult_t post(message *list, int *count, message posted, int peer) {
    if (peer < 0 || peer >= posted.comm->ranks)
        return nc_nccl_fail(ncclInvalidArgument, "the peer is not below the number of ranks");
    if (peer != posted.comm->rank) { /* what it sends nobody knows, and what it gets nobody reads */
        nc_collective_issued(posted.stream, nc_capturing(posted.stream));
        if (posted.to) nc_known_lose_range(posted.to, posted.bytes);
        return ncclSuccess;
    }
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
