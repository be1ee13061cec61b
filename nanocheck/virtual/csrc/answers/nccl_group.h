/* Who the ranks of a communicator are, which of them run, and what they exchange. */
#ifndef NANOCHECK_NCCL_GROUP_H
#define NANOCHECK_NCCL_GROUP_H
#include "answers/nccl.h"
#include "work/exchange.h"

typedef struct nc_group {
    int users; /* under the lock */
    int ranks, rank;
    uint64_t key;
    bool local;               /* all ranks are this process's */
    nc_exchange *all;         /* among the ranks that run; NULL: no other runs */
    int *members;             /* of each rank: its place among those that run; -1: it is absent */
    int *ranks_of;            /* of each place: the rank */
    int *global;              /* of each rank: its number in the run; -1: not known */
    nc_exchange **to, **from; /* messages to one rank, and from it; opened when the first one is */
} nc_group;

/* `global`: the ranks' numbers in the run, or NULL. Notes why it fails. */
NC_HIDDEN ncclResult_t nc_group_new(nc_group **made, uint64_t key, int ranks, int rank, const int *global,
                                    bool local);
/* The communicator's, until it is released; NULL: a rank alone, or it was destroyed. */
NC_HIDDEN nc_group *nc_group_hold(ncclComm_t comm);
NC_HIDDEN void nc_group_release(nc_group *group);
NC_HIDDEN void nc_group_drop(ncclComm_t comm); /* the communicator's end */
/* For messages to a rank that runs, or from it; NULL: why is noted. */
NC_HIDDEN nc_exchange *nc_group_pair(nc_group *group, int peer, bool to);
/* As a message names it: the number in the run where it is known. */
NC_HIDDEN const char *nc_group_name(const nc_group *group, int rank, char text[64]);

#endif
