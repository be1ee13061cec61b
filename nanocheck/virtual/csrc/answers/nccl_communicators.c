/* NCCL's communicators: what PyTorch's own ProcessGroupNCCL runs on.
 *
 * Making one waits for nobody: who never comes is missed at the first call that needs it. All ranks make a
 * communicator's key in the same way: from the unique id, or from the communicator it is split off. What NCCL
 * allocates for itself: nccl_used.h.
 */
#include "answers/nccl_calls.h"
#include "answers/nccl_used.h"
#include "base/clock.h"
#include "base/machine.h"
#include "work/members.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t hash(const void *unique_id) { /* FNV-1a */
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < sizeof(ncclUniqueId); i++)
        hash = (hash ^ ((const unsigned char *)unique_id)[i]) * 0x100000001b3;
    return hash;
}
/* For Python, before the communicator is made: the global ranks of its group, in the group's order. 1: they are kept. */
int nanocheck_nccl_members(const void *unique_id, int n, const int *global_ranks) {
    return unique_id && nc_members_say(NC_BY_ID, hash(unique_id), n, global_ranks);
}
int nanocheck_nccl_split_members(int colour, int n, const int *global_ranks) {
    return nc_members_say(NC_BY_COLOUR, (uint64_t)(unsigned)colour, n, global_ranks);
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
    static unsigned made;
    memset(id, 0, sizeof *id);
    snprintf(id->internal, sizeof id->internal, "nanocheck %d %u %lld", (int)getpid(),
             __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED), nc_clock_machine());
    return ncclSuccess;
}

/* On the current card. */
static ncclResult_t create(ncclComm_t *comm, int ranks, int rank, uint64_t key, const int *global,
                           bool local) {
    if (ranks < 1 || rank < 0 || rank >= ranks)
        return nc_nccl_fail(ncclInvalidArgument, "the rank is not below the number of ranks");
    nc_group *group = NULL;
    ncclResult_t result = ranks > 1 ? nc_group_new(&group, key, ranks, rank, global, local) : ncclSuccess;
    if (result != ncclSuccess) return result;
    if (!(*comm = nc_object_new(NC_COMM))) {
        nc_group_release(group);
        return nc_nccl_fail(ncclSystemError, "no memory for a communicator");
    }
    cudaGetDevice(&(*comm)->device);
    (*comm)->ranks = ranks;
    (*comm)->rank = rank;
    (*comm)->key = key;
    (*comm)->group = group;
    result = nc_nccl_made(*comm);
    if (result != ncclSuccess) {
        ncclCommDestroy(*comm);
        *comm = NULL;
    }
    return result;
}

/* With the ranks that Python said, if it did: `ranks` of them, or as many as there are where that is 0. */
static ncclResult_t create_said(ncclComm_t *comm, int ranks, int rank, uint64_t key, nc_members_key kind,
                                uint64_t of) {
    int said = nc_members_said(kind, of, 0, NULL);
    int *global = said && (said == ranks || !ranks) ? malloc(sizeof *global * (size_t)said) : NULL;
    if (global) nc_members_said(kind, of, said, global);
    ncclResult_t result = create(comm, ranks ? ranks : said, rank, key, global, false);
    free(global);
    return result;
}

ncclResult_t ncclCommInitRank(ncclComm_t *comm, int ranks, ncclUniqueId id, int rank) {
    return create_said(comm, ranks, rank, hash(&id), NC_BY_ID, hash(&id));
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t *config) {
    return ncclCommInitRank(comm, ranks, id, rank);
}
ncclResult_t ncclCommInitRankScalable(ncclComm_t *comm, int ranks, int rank, int count, ncclUniqueId *ids,
                                      ncclConfig_t *config) {
    return ncclCommInitRank(comm, ranks, ids[0], rank);
}
ncclResult_t ncclCommInitAll(ncclComm_t *comms, int devices, const int *list) {
    ncclUniqueId id;
    int here = nc_machine_current();
    ncclResult_t result = ncclSuccess;
    ncclGetUniqueId(&id);
    for (int rank = 0; rank < devices && result == ncclSuccess; rank++) {
        nc_machine_use(list ? list[rank] : rank);
        result = create(&comms[rank], devices, rank, hash(&id), NULL, true);
    }
    nc_machine_use(here);
    return result;
}

/* ---- communicators made from another one ---- */
typedef struct {
    int colour, key;
} wish;

/* All ranks say their colour and key, and each that `waits` finds its place among those of its own colour. */
static ncclResult_t agreed(ncclComm_t comm, nc_group *g, wish own, bool waits, uint64_t key,
                           ncclComm_t *made) {
    nc_call call = {.kind = NC_SPLIT, .from = &own, .count = sizeof own, .comm = comm, .group = g};
    int *global = calloc((size_t)comm->ranks, sizeof *global), ranks = 0, rank = 0;
    if (!global) return nc_nccl_fail(ncclSystemError, "no memory for a communicator");
    ncclResult_t result = ncclSuccess;
    int *keys = calloc((size_t)comm->ranks, sizeof *keys);
    while (result == ncclSuccess && !nc_call_post(&call)) result = nc_call_room(&call);
    for (int i = 0; i < comm->ranks && result == ncclSuccess && keys && waits; i++) {
        nc_part part;
        wish theirs = {NCCL_SPLIT_NOCOLOR, 0};
        result = nc_call_part(&call, i, true, &part);
        if (result != ncclSuccess) break;
        if (part.known == sizeof theirs) memcpy(&theirs, part.at, sizeof theirs);
        if (theirs.colour != own.colour) continue;
        int at = ranks++; /* by key, and then by rank */
        for (; at > 0 && keys[at - 1] > theirs.key; at--) {
            keys[at] = keys[at - 1];
            global[at] = global[at - 1];
        }
        keys[at] = theirs.key;
        global[at] = i;
    }
    nc_call_done(&call);
    for (int i = 0; i < ranks; i++) {
        if (global[i] == comm->rank) rank = i;
        global[i] = g->global[global[i]];
    }
    if (result == ncclSuccess && waits) result = create(made, ranks, rank, key, global, g->local);
    free(keys);
    free(global);
    return result;
}

ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t *made, ncclConfig_t *config) {
    *made = NULL;
    if (!nc_object_is(comm, NC_COMM)) return nc_nccl_fail(ncclInvalidArgument, "no communicator");
    uint64_t child =
        nc_nccl_mix(nc_nccl_mix(comm->key, __atomic_add_fetch(&comm->children, 1, __ATOMIC_RELAXED)),
                    (uint64_t)(unsigned)color);
    bool said = nc_members_said(NC_BY_COLOUR, (uint64_t)(unsigned)color, 0, NULL),
         coloured = color != NCCL_SPLIT_NOCOLOR;
    nc_group *g = nc_group_hold(comm);
    ncclResult_t result =
        g ? agreed(comm, g, (wish){color, key}, coloured && !said, child, made) : ncclSuccess;
    if (result == ncclSuccess && coloured && said)
        result = create_said(made, 0, key, child, NC_BY_COLOUR, (uint64_t)(unsigned)color);
    else if (!g && coloured) result = create(made, 1, 0, child, NULL, false);
    nc_group_release(g);
    return result;
}

#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0)
ncclResult_t ncclCommShrink(ncclComm_t comm, int *without, int count, ncclComm_t *made, ncclConfig_t *config,
                            int flags) {
    if (!nc_object_is(comm, NC_COMM)) return nc_nccl_fail(ncclInvalidArgument, "no communicator");
    nc_group *g = nc_group_hold(comm);
    int *global = calloc((size_t)comm->ranks, sizeof *global), ranks = 0, rank = -1;
    uint64_t key = nc_nccl_mix(comm->key, __atomic_add_fetch(&comm->children, 1, __ATOMIC_RELAXED));
    for (int i = 0; i < comm->ranks && global; i++) {
        bool stays = true;
        for (int j = 0; j < count; j++) stays &= without[j] != i;
        if (!stays) {
            key = nc_nccl_mix(key, (uint64_t)i);
            continue;
        }
        if (i == comm->rank) rank = ranks;
        global[ranks++] = g ? g->global[i] : i;
    }
    ncclResult_t result = create(made, ranks, rank, key, global, g && g->local);
    free(global);
    nc_group_release(g);
    return result;
}
#endif

ncclResult_t ncclCommFinalize(ncclComm_t comm) { return ncclSuccess; }
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
    nc_group *group = nc_group_hold(comm);
    if (nc_object_is(comm, NC_COMM)) nc_nccl_gone(comm);
    if (comm && !nc_object_delete(comm, NC_COMM)) {
        nc_group_release(group);
        return nc_nccl_fail(ncclInvalidArgument, "the communicator was destroyed before, or never was one");
    }
    if (group) nc_group_drop(comm);
    nc_group_release(group);
    return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) { return ncclCommDestroy(comm); }
