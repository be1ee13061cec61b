/* NCCL for a group of one rank: what PyTorch's own ProcessGroupNCCL runs on.
 *
 * With one rank every collective is a copy from input to output, as in NCCL itself, and follows the
 * rules of values/copies.c. What NCCL allocates for itself (outside PyTorch's allocator) counts as zero.
 * More ranks would need results of cards that are not there: that stops the run with its name.
 */
#include "answers/nccl.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct ncclComm {
    int device;
};
static __thread const char *last_error = "";

ncclResult_t nc_nccl_fail(ncclResult_t result, const char *why) {
    last_error = why;
    return result;
}

static ncclResult_t create(ncclComm_t *comm, int ranks, int rank, const char *symbol) {
    if (ranks != 1) {
        char what[96];
        snprintf(what, sizeof what, "%s for %d ranks", symbol, ranks);
        nc_refuse(what, "It is one card, and there is no other to exchange data with.\n"
                        "  Run one process: torchrun --nproc_per_node=1, or WORLD_SIZE=1.");
    }
    if (rank != 0) return nc_nccl_fail(ncclInvalidArgument, "the rank is not below the number of ranks");
    if (!(*comm = nc_object_new(NC_COMM)))
        return nc_nccl_fail(ncclSystemError, "no memory for a communicator");
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
    if (!comm || nc_object_delete(comm, NC_COMM)) return ncclSuccess;
    return nc_nccl_fail(ncclInvalidArgument, "the communicator was destroyed before, or never was one");
}
ncclResult_t ncclCommAbort(ncclComm_t comm) { return ncclCommDestroy(comm); }
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
