/* Which ranks of a run a communicator has, and which of them run.
 *
 * NCCL's calls name a communicator's size and this rank's place in it, not who the others are. Where all ranks run
 * that is enough. Where some are left out (NANOCHECK_RUN_RANKS), Python knows the group's ranks and says them
 * here (nanocheck_nccl_members), by what the communicator is made from.
 */
#include "work/members.h"
#include "base/locks.h"
#include <stdlib.h>
#include <string.h>

typedef struct group {
    struct group *next;
    nc_members_key kind;
    uint64_t key;
    int count;
    int ranks[];
} group;
static group *groups; /* under the lock; the newest first, and never taken away: a run has few */

bool nc_members_say(nc_members_key kind, uint64_t key, int count, const int *ranks) {
    group *said = count < 1 || !ranks ? NULL : malloc(sizeof *said + sizeof *ranks * (size_t)count);
    if (!said) return false;
    said->kind = kind;
    said->key = key;
    said->count = count;
    memcpy(said->ranks, ranks, sizeof *ranks * (size_t)count);
    nc_lock(NC_LOCK_MEMBERS);
    said->next = groups;
    groups = said;
    nc_unlock(NC_LOCK_MEMBERS);
    return true;
}

int nc_members_said(nc_members_key kind, uint64_t key, int room, int *ranks) {
    int found = 0;
    nc_lock(NC_LOCK_MEMBERS);
    for (const group *at = groups; at && !found; at = at->next) {
        if (at->kind != kind || at->key != key) continue;
        found = at->count;
        memcpy(ranks, at->ranks, sizeof *ranks * (size_t)(found < room ? found : room));
    }
    nc_unlock(NC_LOCK_MEMBERS);
    return found;
}

bool nc_rank_runs(int rank) {
    const char *chosen = getenv("NANOCHECK_RUN_RANKS");
    if (!chosen || !strcmp(chosen, "all")) return true;
    while (*chosen) {
        char *end;
        if (strtol(chosen, &end, 10) == rank && end != chosen) return true;
        chosen = *end == ',' ? end + 1 : "";
    }
    return false;
}
