/* NCCL's communicators: what PyTorch's own ProcessGroupNCCL runs on.
 *
 * A communicator knows its size and rank. Its collectives complete at once, whether the others are there or not
 * (nccl_collectives.c says what they leave behind). What NCCL allocates for itself counts as zero here.
 */
#include "answers/nccl.h"
#include "work/members.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static __thread const char *last_error = "";

ncclResult_t nc_nccl_fail(ncclResult_t result, const char *why) {
    last_error = why;
    return result;
}

uint64_t nc_nccl_hash(const void *unique_id) { /* FNV-1a */
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < sizeof(ncclUniqueId); i++)
        hash = (hash ^ ((const unsigned char *)unique_id)[i]) * 0x100000001b3;
    return hash;
}
/* For Python, before the communicator is made: the global ranks of its group, in the group's order. 1: they are kept. */
int nanocheck_nccl_members(const void *unique_id, int n, const int *global_ranks) {
    return unique_id && nc_members_say(NC_BY_ID, nc_nccl_hash(unique_id), n, global_ranks);
}
int nanocheck_nccl_split_members(int colour, int n, const int *global_ranks) {
    return nc_members_say(NC_BY_COLOUR, (uint64_t)(unsigned)colour, n, global_ranks);
}

static ncclResult_t create(ncclComm_t *comm, int ranks, int rank) {
    if (ranks < 1 || rank < 0 || rank >= ranks)
        return nc_nccl_fail(ncclInvalidArgument, "the rank is not below the number of ranks");
    if (!(*comm = nc_object_new(NC_COMM)))
        return nc_nccl_fail(ncclSystemError, "no memory for a communicator");
    cudaGetDevice(&(*comm)->device);
    (*comm)->ranks = ranks;
    (*comm)->rank = rank;
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
    return create(comm, ranks, rank);
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t *config) {
    return create(comm, ranks, rank);
}
ncclResult_t ncclCommInitRankScalable(ncclComm_t *comm, int ranks, int rank, int count, ncclUniqueId *ids,
                                      ncclConfig_t *config) {
    return create(comm, ranks, rank);
}
ncclResult_t ncclCommInitAll(ncclComm_t *comms, int devices, const int *list) {
    for (int rank = 0; rank < devices; rank++) {
        ncclResult_t result = create(&comms[rank], devices, rank);
        if (result != ncclSuccess) return result;
        comms[rank]->device = list ? list[rank] : rank;
    }
    return ncclSuccess;
}
ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t *made, ncclConfig_t *config) {
    *made = NULL;
    /* Which ranks share the colour only they know: PyTorch says it by the communicator's configuration. */
    return color == NCCL_SPLIT_NOCOLOR ? ncclSuccess : create(made, comm->ranks, comm->rank);
}
ncclResult_t ncclCommFinalize(ncclComm_t comm) { return ncclSuccess; }
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
    if (!comm || nc_object_delete(comm, NC_COMM)) return ncclSuccess;
    return nc_nccl_fail(ncclInvalidArgument, "the communicator was destroyed before, or never was one");
}
ncclResult_t ncclCommAbort(ncclComm_t comm) { return ncclCommDestroy(comm); }
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error) {
    *error = ncclSuccess;
    return ncclSuccess;
}
ncclResult_t ncclCommCount(const ncclComm_t comm, int *count) {
    if (!nc_object_is(comm, NC_COMM)) return nc_nccl_fail(ncclInvalidArgument, "no communicator");
    *count = comm->ranks;
    return ncclSuccess;
}
ncclResult_t ncclCommUserRank(const ncclComm_t comm, int *rank) {
    if (!nc_object_is(comm, NC_COMM)) return nc_nccl_fail(ncclInvalidArgument, "no communicator");
    *rank = comm->rank;
    return ncclSuccess;
}
ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int *device) {
    if (!nc_object_is(comm, NC_COMM)) return nc_nccl_fail(ncclInvalidArgument, "no communicator");
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
                                                     : nc_nccl_fail(ncclUnhandledCudaError, "out of memory");
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
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0)
ncclResult_t ncclCommWindowRegister(ncclComm_t comm, void *buffer, size_t bytes, ncclWindow_t *window,
                                    int flags) {
    return ncclCommRegister(comm, buffer, bytes, (void **)window);
}
ncclResult_t ncclCommWindowDeregister(ncclComm_t comm, ncclWindow_t window) { return ncclSuccess; }
#endif
