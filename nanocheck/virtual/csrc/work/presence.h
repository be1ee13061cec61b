/* Which process is which rank of the run, also before it has made a communicator. */
#ifndef NANOCHECK_PRESENCE_H
#define NANOCHECK_PRESENCE_H
#include "base/base.h"

/* False: nothing is known of this global rank. `born` as nc_process_born gave it. */
NC_HIDDEN bool nc_presence(int global_rank, uint64_t *pid, uint64_t *born);

#endif
