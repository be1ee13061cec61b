/* Collectives finish when the host waits for the card. */
#ifndef NANOCHECK_COLLECTIVES_H
#define NANOCHECK_COLLECTIVES_H
#include "base/base.h"

/* Of an event that follows a collective. */
typedef struct {
    unsigned long long number;
    long long since;
} nc_mark;
/* A collective was issued to this stream; captured: into a graph, nobody waits for it. */
NC_HIDDEN void nc_collective_issued(cudaStream_t stream, bool captured);
NC_HIDDEN void nc_mark_recorded(nc_mark *mark, cudaStream_t stream);
NC_HIDDEN bool nc_mark_finished(nc_mark *mark); /* as the calling thread is to see it */
NC_HIDDEN void nc_mark_clear(nc_mark *mark);
NC_HIDDEN void nc_host_waits(void);

#endif
