/* The memory of a launch's parameters: how far it may be read, and what looks like an address there. */
#ifndef NANOCHECK_PARAMETERS_H
#define NANOCHECK_PARAMETERS_H
#include "values/effects.h"

/* How far parameter `index` may be read. */
NC_HIDDEN size_t nc_reach(const nc_writes *w, void **arguments, int index, size_t most);
/* The word at this place, if it is an address of the card. */
NC_HIDDEN void *nc_word_at(const char *at);
/* Calls `act` for the first `most` addresses of the card that stand in these bytes. */
NC_HIDDEN void nc_each_in(const char *from, size_t bytes, int most, void (*act)(const void *));
/* Where a ReduceOp keeps its source; its results follow. NULL: not found. */
NC_HIDDEN const char *nc_source_in(const char *from, size_t bytes);
/* Where a strided closure keeps its output. NULL: not found. */
NC_HIDDEN const char *nc_output_in(const char *from, size_t bytes);

#endif
