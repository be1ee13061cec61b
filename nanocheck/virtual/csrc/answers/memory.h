/* What the answers about memory share. */
#ifndef NANOCHECK_ANSWERS_MEMORY_H
#define NANOCHECK_ANSWERS_MEMORY_H
#include "memory/arena.h"

/* Frees the allocation that starts at this address of the arena. */
NC_HIDDEN cudaError_t nc_give_back(nc_arena arena, void *address);

#endif
