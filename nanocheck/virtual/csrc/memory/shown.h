/* What this process holds of each card, shown to other processes. */
#ifndef NANOCHECK_SHOWN_H
#define NANOCHECK_SHOWN_H
#include "base/base.h"

NC_HIDDEN void nc_shown_set(int slot, size_t bytes); /* called under the lock of the budget */

#endif
