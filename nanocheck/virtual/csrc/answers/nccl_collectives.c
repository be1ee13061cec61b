/* The functions of collectives and messages: each is put down as a call, which runs at once or when its group ends. */
#include "answers/nccl_contents.h"
#include "answers/nccl_used.h"
#include "memory/bounds.h"
#include "work/capture.h"
#include "work/collectives.h"
#include <stdlib.h>

/* Calls of the open group. A message to oneself is a send and a receive of one group; they meet when it ends. */
typedef struct {
    nc_call *at;
    int count, room;
} list;
static __thread list waiting, sends, receives;
static __thread int depth;

static ncclResult_t keep(list *calls, nc_call call) {
    if (calls->count == calls->room) {
        calls->room = 2 * calls->room + 4;
        nc_call *more = realloc(calls->at, sizeof call * (size_t)calls->room);
        if (!more) nc_fatal("no memory for a group of %d NCCL calls", calls->room);
        calls->at = more;
    }
    calls->at[calls->count++] = call;
    return ncclSuccess;
}
static void forget(list *calls) {
    for (int i = 0; i < calls->count; i++) nc_group_release(calls->at[i].group);
    free(calls->at);
    *calls = (list){NULL, 0, 0};
}

/* A rank alone: what it gives is what it takes. */
static ncclResult_t alone(const nc_call *call) {
    size_t bytes = call->count * nc_type_size(call->type);
    if (call->from != call->to && bytes)
        cudaMemcpyAsync(call->to, call->from, bytes, cudaMemcpyDeviceToDevice, call->stream);
    return ncclSuccess;
}

static ncclResult_t issue(nc_call call) {
    if (!nc_object_is(call.comm, NC_COMM)) return nc_nccl_fail(ncclInvalidArgument, "no communicator");
    if (call.root < 0 || call.root >= call.comm->ranks)
        return nc_nccl_fail(ncclInvalidArgument, "rank %d is not below the number of ranks", call.root);
    nc_collective_issued(call.stream, nc_capturing(call.stream));
    if ((int)call.operator>= ncclNumOps) nc_count(NC_LAUNCHES); /* it multiplies first */
    else if (call.comm->ranks == 1) return alone(&call);
    if (!nc_within(call.from, nc_call_gives(&call)) || !nc_within(call.to, nc_call_takes(&call)))
        return nc_nccl_fail(ncclInvalidArgument, "a buffer is smaller than what its collective moves");
    ncclResult_t result = nc_nccl_used(call.comm, call.kind >= NC_ALL_TO_ALL && call.kind <= NC_RECEIVE);
    if (result != ncclSuccess) return result;
    call.group = nc_group_hold(call.comm);
    if (depth) return keep(&waiting, call);
    result = nc_calls_run(&call, 1);
    nc_group_release(call.group);
    return result;
}

ncclResult_t ncclAllReduce(const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream) {
    return issue((nc_call){NC_ALL_REDUCE, from, to, n, type, op, 0, comm, stream, NULL, 0, 0});
}
ncclResult_t ncclReduce(const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t op, int root,
                        ncclComm_t comm, cudaStream_t stream) {
    return issue((nc_call){NC_REDUCE, from, to, n, type, op, root, comm, stream, NULL, 0, 0});
}
ncclResult_t ncclReduceScatter(const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t op,
                               ncclComm_t comm, cudaStream_t stream) {
    return issue((nc_call){NC_REDUCE_SCATTER, from, to, n, type, op, 0, comm, stream, NULL, 0, 0});
}
/* Of those that reduce nothing. */
static ncclResult_t move(nc_call_kind kind, const void *from, void *to, size_t n, ncclDataType_t type,
                         int root, ncclComm_t comm, cudaStream_t stream) {
    return issue((nc_call){kind, from, to, n, type, ncclSum, root, comm, stream, NULL, 0, 0});
}
ncclResult_t ncclBroadcast(const void *from, void *to, size_t n, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
    bool reads = nc_object_is(comm, NC_COMM) && comm->rank == root;
    return move(NC_BROADCAST, reads ? from : to, to, n, type, root, comm, stream);
}
ncclResult_t ncclBcast(void *buffer, size_t n, ncclDataType_t type, int root, ncclComm_t comm,
                       cudaStream_t stream) {
    return move(NC_BROADCAST, buffer, buffer, n, type, root, comm, stream);
}
ncclResult_t ncclAllGather(const void *from, void *to, size_t n, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
    return move(NC_ALL_GATHER, from, to, n, type, 0, comm, stream);
}
ncclResult_t ncclAlltoAll(const void *from, void *to, size_t n, ncclDataType_t type, ncclComm_t comm,
                          cudaStream_t stream) {
    return move(NC_ALL_TO_ALL, from, to, n, type, 0, comm, stream);
}
ncclResult_t ncclGather(const void *from, void *to, size_t n, ncclDataType_t type, int root, ncclComm_t comm,
                        cudaStream_t stream) {
    return move(NC_GATHER, from, to, n, type, root, comm, stream);
}
ncclResult_t ncclScatter(const void *from, void *to, size_t n, ncclDataType_t type, int root, ncclComm_t comm,
                         cudaStream_t stream) {
    return move(NC_SCATTER, from, to, n, type, root, comm, stream);
}

/* ---- messages ---- */
static ncclResult_t meet(void) {
    if (sends.count != receives.count)
        return nc_nccl_fail(ncclInvalidUsage, "a message to oneself needs a send and a receive in one group");
    for (int i = 0; i < sends.count; i++) {
        nc_call both = receives.at[i];
        if (nc_call_gives(&sends.at[i]) != nc_call_takes(&both) || sends.at[i].comm != both.comm)
            return nc_nccl_fail(ncclInvalidUsage, "a send and its receive differ in size or communicator");
        both.from = sends.at[i].from;
        alone(&both);
    }
    return ncclSuccess;
}
ncclResult_t ncclGroupStart(void) {
    depth++;
    return ncclSuccess;
}
ncclResult_t ncclGroupEnd(void) {
    if (!depth) return nc_nccl_fail(ncclInvalidUsage, "ncclGroupEnd without ncclGroupStart");
    if (--depth) return ncclSuccess;
    ncclResult_t result = meet();
    if (result == ncclSuccess) result = nc_calls_run(waiting.at, waiting.count);
    forget(&sends);
    forget(&receives);
    forget(&waiting);
    return result;
}
static ncclResult_t to_itself(list *calls, nc_call call) {
    nc_collective_issued(call.stream, nc_capturing(call.stream));
    depth++; /* alone, it is a group of its own */
    keep(calls, call);
    return ncclGroupEnd();
}
static bool own(ncclComm_t comm, int peer) { return nc_object_is(comm, NC_COMM) && comm->rank == peer; }
ncclResult_t ncclSend(const void *from, size_t n, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
    nc_call call = {NC_SEND, from, NULL, n, type, ncclSum, peer, comm, stream, NULL, 0, 0};
    return own(comm, peer) ? to_itself(&sends, call) : issue(call);
}
ncclResult_t ncclRecv(void *to, size_t n, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
    nc_call call = {NC_RECEIVE, NULL, to, n, type, ncclSum, peer, comm, stream, NULL, 0, 0};
    return own(comm, peer) ? to_itself(&receives, call) : issue(call);
}
