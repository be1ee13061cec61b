/* Memory of the program that is read without knowing where it ends. */
#ifndef NANOCHECK_READABLE_H
#define NANOCHECK_READABLE_H
#include "base/base.h"

typedef struct {
    const char *at;
    size_t bytes; /* fewer than were asked for where readable memory ends before */
} nc_bytes;
/* On this thread's stack the memory itself, elsewhere a copy in `room`, which holds as many bytes as are asked for. */
NC_HIDDEN nc_bytes nc_readable(const void *from, size_t bytes, char *room);

#endif
