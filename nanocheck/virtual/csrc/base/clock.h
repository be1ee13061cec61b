/* The card's clock: when it would be done with what was issued to it. Off until nanocheck gives it a pace. */
#ifndef NANOCHECK_CLOCK_H
#define NANOCHECK_CLOCK_H
#include "base/base.h"

/* Of this machine, monotonic, in nanoseconds; never the clock that the program is shown (clock/host.c). */
NC_HIDDEN long long nc_clock_machine(void);
NC_HIDDEN void nc_clock_issued(void);            /* one launch */
NC_HIDDEN void nc_clock_waited(long long until); /* the host waited for the card until then; 0: for all */
NC_HIDDEN long long
nc_clock_done(void); /* when all is done that was issued; 0 where the clock stands still */

#endif
