/* Every lock of the library, in the order in which they may be taken while another is held. */
#ifndef NANOCHECK_LOCKS_H
#define NANOCHECK_LOCKS_H
#include "base/base.h"

typedef enum {
    NC_LOCK_MAPPINGS,
    NC_LOCK_REGISTERED,
    NC_LOCK_KERNELS,
    NC_LOCK_COLLECTIVES,
    NC_LOCK_COMMUNICATORS,
    NC_LOCK_EXCHANGE,
    NC_LOCK_MEMBERS,
    NC_LOCK_CAPTURES,
    NC_LOCK_BUDGET,
    NC_LOCK_ARENA,
    NC_LOCK_KNOWN,
    NC_LOCK_OBJECTS,
    NC_LOCK_CARD,
    NC_LOCKS
} nc_lock_name;
NC_HIDDEN void nc_lock(nc_lock_name lock);
NC_HIDDEN void nc_unlock(nc_lock_name lock);

#endif
