/* Copies and memsets: which of them are carried out, and what is known afterwards. */
#ifndef NANOCHECK_COPIES_H
#define NANOCHECK_COPIES_H
#include "base/base.h"

/* Whether a write of so many bytes is done; if not, what stood there is unknown and counted as skipped. */
NC_HIDDEN bool nc_carried_out(const void *destination, size_t bytes);
NC_HIDDEN void nc_copy(void *to, const void *from, size_t bytes);

#endif
