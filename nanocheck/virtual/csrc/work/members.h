/* Which ranks of a run a communicator has, as Python told before the communicator was made, and which of them run. */
#ifndef NANOCHECK_MEMBERS_H
#define NANOCHECK_MEMBERS_H
#include "base/base.h"

/* Of a unique id (its hash), or of a split's colour. */
typedef enum { NC_BY_ID, NC_BY_COLOUR } nc_members_key;
/* False: no memory, or fewer than one rank. What was said last of a key holds. */
NC_HIDDEN bool nc_members_say(nc_members_key kind, uint64_t key, int count, const int *global_ranks);
/* How many were said; 0: nobody said it. Fills the first `room` of them. */
NC_HIDDEN int nc_members_said(nc_members_key kind, uint64_t key, int room, int *global_ranks);
/* Whether this global rank's program runs (NANOCHECK_RUN_RANKS); -1: a rank nobody named, which runs if all do. */
NC_HIDDEN bool nc_rank_runs(int global_rank);

#endif
