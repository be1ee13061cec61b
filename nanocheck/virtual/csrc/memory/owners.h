/* Which of the machine's cards holds a range of addresses. */
#ifndef NANOCHECK_OWNERS_H
#define NANOCHECK_OWNERS_H
#include "base/base.h"

NC_HIDDEN void nc_owner_set(const void *head, int slot); /* where an allocation of the device arena starts */
NC_HIDDEN int nc_owner_of(const void *inside);           /* its slot; of what nobody said, 0 */

#endif
