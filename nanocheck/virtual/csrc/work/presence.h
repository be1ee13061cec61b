/* Which process is which rank of the run, also before it has made a communicator. */
#ifndef NANOCHECK_PRESENCE_H
#define NANOCHECK_PRESENCE_H
#include "base/base.h"

NC_HIDDEN int nc_presence_rank(void);  /* this process's rank in the run; -1: it has none */
NC_HIDDEN int nc_presence_world(void); /* how many ranks the run has; -1: nobody said */
NC_HIDDEN void nc_presence_say(void);  /* to the others: this process is that rank */
/* When that rank, or whom it waits for, was last seen to work (nc_clock_machine); 0: nobody said. */
NC_HIDDEN uint64_t nc_presence_heard(int global_rank);
NC_HIDDEN void nc_presence_hear(uint64_t when); /* of this process's rank */
/* False: nothing is known of this global rank. `born` as nc_process_born gave it. */
NC_HIDDEN bool nc_presence(int global_rank, uint64_t *pid, uint64_t *born);

#endif
