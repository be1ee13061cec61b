/* Opaque handles of things that have no contents. */
#ifndef NANOCHECK_HANDLES_H
#define NANOCHECK_HANDLES_H
#include "base/base.h"

NC_HIDDEN void *nc_handle(void); /* a new, distinct, non-null opaque handle */

#endif
