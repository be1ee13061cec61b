/* Waiting for a member of an exchange, with an end. */
#ifndef NANOCHECK_EXCHANGE_WAIT_H
#define NANOCHECK_EXCHANGE_WAIT_H
#include "work/exchange_file.h"

/* Whether a member came, and why it will not: it destroyed its communicator, its process ended or was killed, or
 * nothing was heard of it for so long. */
typedef enum { NC_CAME, NC_LEFT, NC_ENDED, NC_DIED, NC_QUIET } nc_absence;
/* Until the member has posted, or has read, so many messages. */
typedef enum { NC_POSTED, NC_DONE } nc_progress;
NC_HIDDEN nc_absence nc_exchange_await(nc_exchange *exchange, int member, uint64_t number, nc_progress of);
/* Of those that will not come to this message, as far as is known without waiting: one; -1: none. */
NC_HIDDEN int nc_exchange_missing(nc_exchange *exchange, uint64_t number, nc_absence *how);
NC_HIDDEN double nc_exchange_patience(void); /* seconds: NANOCHECK_RANK_WAIT_S */

#endif
