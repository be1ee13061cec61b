/* The parameters of a launch: where each ends at the latest, and what looks like an address in it. */
#ifndef NANOCHECK_PARAMETERS_H
#define NANOCHECK_PARAMETERS_H
#include "values/effects.h"
#include "values/readable.h"

/* At most so many bytes of parameter `index`; `room` is for a copy of them. */
NC_HIDDEN nc_bytes nc_parameter(const nc_writes *w, void **arguments, int index, size_t most, char *room);
NC_HIDDEN void *nc_pointer_at(const char *at);
/* The same, if it is an address of the card. */
NC_HIDDEN void *nc_address_at(const char *at);
/* Calls `act` for the first `most` addresses of the card that stand in these bytes. */
NC_HIDDEN void nc_each_in(nc_bytes in, int most, void (*act)(const void *));
/* A ReduceOp from its source on; its results follow. NULL: not found. */
NC_HIDDEN const char *nc_source_in(nc_bytes in);
/* A strided closure from its output on. NULL: not found. */
NC_HIDDEN const char *nc_output_in(nc_bytes in);

#endif
