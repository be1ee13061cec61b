/* Who the ranks of a communicator are.
 *
 * Other processes are there only in a run of nanocheck's (NANOCHECK_MACHINE): elsewhere each rank is alone, whatever
 * the communicator's size. Of these, those run that NANOCHECK_RUN_RANKS names.
 */
#include "answers/nccl_group.h"
#include "base/locks.h"
#include "work/members.h"
#include "work/presence.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool runs(const nc_group *g, int rank) {
    if (rank == g->rank || g->local) return true;
    return getenv("NANOCHECK_MACHINE") && nc_rank_runs(g->global[rank]);
}

static void free_group(nc_group *g) {
    if (!g) return;
    for (int i = 0; g->to && g->from && i < g->ranks; i++) {
        if (g->to[i]) nc_exchange_close(g->to[i]);
        if (g->from[i]) nc_exchange_close(g->from[i]);
    }
    if (g->all) nc_exchange_close(g->all);
    free(g->members);
    free(g->ranks_of);
    free(g->global);
    free(g->to);
    free(g->from);
    free(g);
}

static ncclResult_t no_exchange(void) {
    return nc_nccl_fail(ncclSystemError, "the ranks cannot exchange messages in %s: %s",
                        getenv("NANOCHECK_MACHINE"), strerror(errno));
}

ncclResult_t nc_group_new(nc_group **made, uint64_t key, int ranks, int rank, const int *global, bool local) {
    size_t count = (size_t)ranks;
    bool whole = nc_presence_world() == ranks; /* the world, in order */
    nc_group *g = *made = calloc(1, sizeof *g);
    if (!g) return nc_nccl_fail(ncclSystemError, "no memory for a communicator");
    nc_presence_say();
    g->users = 1;
    g->ranks = ranks;
    g->rank = rank;
    g->key = key;
    g->local = local;
    g->members = calloc(count, sizeof *g->members);
    g->ranks_of = calloc(count, sizeof *g->ranks_of);
    g->global = calloc(count, sizeof *g->global);
    g->to = calloc(count, sizeof *g->to);
    g->from = calloc(count, sizeof *g->from);
    int *numbers = calloc(count, sizeof *numbers); /* of those that run */
    ncclResult_t result = ncclSuccess;
    if (numbers && g->members && g->ranks_of && g->global && g->to && g->from) {
        int running = 0;
        for (int i = 0; i < ranks; i++) {
            g->global[i] = global ? global[i] : whole && !local ? i : -1;
            g->members[i] = runs(g, i) ? running : -1;
            if (g->members[i] < 0) continue;
            numbers[running] = g->global[i];
            g->ranks_of[running++] = i;
        }
        if (running > 1 && !(g->all = nc_exchange_open(key, running, g->members[rank], !local, numbers)))
            result = no_exchange();
    } else result = nc_nccl_fail(ncclSystemError, "no memory for a communicator");
    free(numbers);
    if (result == ncclSuccess) return result;
    free_group(g);
    *made = NULL;
    return result;
}

nc_group *nc_group_hold(ncclComm_t comm) {
    nc_lock(NC_LOCK_COMMUNICATORS);
    nc_group *g = nc_object_is(comm, NC_COMM) ? comm->group : NULL;
    if (g) g->users++;
    nc_unlock(NC_LOCK_COMMUNICATORS);
    return g;
}

void nc_group_release(nc_group *g) {
    if (!g) return;
    nc_lock(NC_LOCK_COMMUNICATORS);
    bool last = --g->users == 0;
    nc_unlock(NC_LOCK_COMMUNICATORS);
    if (last) free_group(g);
}

void nc_group_drop(ncclComm_t comm) {
    nc_lock(NC_LOCK_COMMUNICATORS);
    nc_group *g = comm->group;
    comm->group = NULL;
    nc_unlock(NC_LOCK_COMMUNICATORS);
    nc_group_release(g);
}

/* In the run; where nobody told, as the rank itself says it once it has come. */
static int number(const nc_group *g, int rank) {
    return g->all && g->members[rank] >= 0 ? nc_exchange_rank(g->all, g->members[rank]) : g->global[rank];
}

nc_exchange *nc_group_pair(nc_group *g, int peer, bool to) {
    nc_exchange **place = to ? &g->to[peer] : &g->from[peer];
    nc_lock(NC_LOCK_COMMUNICATORS);
    if (!*place) {
        int sender = to ? g->rank : peer, receiver = to ? peer : g->rank;
        uint64_t key = nc_nccl_mix(nc_nccl_mix(g->key, (uint64_t)sender), (uint64_t)receiver);
        *place =
            nc_exchange_open(key, 2, to ? 0 : 1, !g->local, (int[]){number(g, sender), number(g, receiver)});
    }
    nc_unlock(NC_LOCK_COMMUNICATORS);
    if (!*place) no_exchange();
    return *place;
}

const char *nc_group_name(const nc_group *g, int rank, char text[64]) {
    int known = number(g, rank);
    snprintf(text, 64, known >= 0 ? "rank %d" : "rank %d of the group", known >= 0 ? known : rank);
    return text;
}
