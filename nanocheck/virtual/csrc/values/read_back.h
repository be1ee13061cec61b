/* A count that PyTorch is about to read back for itself, told by somebody who knows it. */
#ifndef NANOCHECK_READ_BACK_H
#define NANOCHECK_READ_BACK_H
#include "base/base.h"

/* The next read of so many bytes in this thread gets these, eight of them also a read of four; no bytes: nothing waits
 * any more. False: too many. */
NC_HIDDEN bool nc_read_back_tell(const void *value, size_t bytes);
/* What waits for a read of so many bytes, once; NULL: nothing does. */
NC_HIDDEN const void *nc_read_back_take(size_t bytes);
/* Whether something still waits. */
NC_HIDDEN bool nc_read_back_waits(void);

#endif
