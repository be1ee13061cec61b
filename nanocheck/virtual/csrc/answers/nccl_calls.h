/* One collective, or message, from its call to what it leaves behind. */
#ifndef NANOCHECK_NCCL_CALLS_H
#define NANOCHECK_NCCL_CALLS_H
#include "answers/nccl_group.h"

/* The order is that of NAMES in nccl_calls.c. */
typedef enum {
    NC_NO_CALL,
    NC_ALL_REDUCE,
    NC_REDUCE,
    NC_REDUCE_SCATTER,
    NC_BROADCAST,
    NC_ALL_GATHER,
    NC_ALL_TO_ALL,
    NC_GATHER,
    NC_SCATTER,
    NC_SEND,
    NC_RECEIVE,
    NC_SPLIT,
    NC_CALLS
} nc_call_kind;
typedef struct {
    nc_call_kind kind;
    const void *from;
    void *to;
    size_t count; /* of elements, as the function takes it */
    ncclDataType_t type;
    ncclRedOp_t operator;
    int root; /* of a message: the peer */
    ncclComm_t comm;
    cudaStream_t stream;
    nc_group *group;
    uint64_t number; /* among the communicator's; 0: not posted */
    size_t known;    /* first bytes of what this rank gives */
} nc_call;

NC_HIDDEN size_t nc_type_size(ncclDataType_t type);
/* Bytes that this rank reads from, and writes to; for all ranks together. */
NC_HIDDEN size_t nc_call_gives(const nc_call *call);
NC_HIDDEN size_t nc_call_takes(const nc_call *call);
/* Says to the others what this rank calls and gives. False: no room, see nc_call_room. */
NC_HIDDEN bool nc_call_post(nc_call *call);
NC_HIDDEN ncclResult_t nc_call_room(const nc_call *call);
/* What that rank gives: waited for, or only if it is there already. An absent one's part is this rank's own. */
NC_HIDDEN ncclResult_t nc_call_part(nc_call *call, int rank, bool wait, nc_part *part);
/* That a rank has ended is told before anybody waits for it. */
NC_HIDDEN ncclResult_t nc_call_missing(const nc_call *call);
NC_HIDDEN void nc_call_done(const nc_call *call);

#endif
