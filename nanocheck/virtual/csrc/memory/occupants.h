/* What each process of a run holds of one of the machine's cards: $NANOCHECK_MACHINE/card-<number>. */
#ifndef NANOCHECK_OCCUPANTS_H
#define NANOCHECK_OCCUPANTS_H
#include "base/base.h"

typedef struct {
    int pid;                    /* 0: a free place */
    unsigned long long started; /* clock ticks since boot: a process number is used again */
    size_t bytes;
} nc_occupant;

/* This process holds so much, if the others leave it of `most`: then true. Called under the lock of the budget. */
NC_HIDDEN bool nc_occupant_hold(int slot, size_t bytes, size_t most);
NC_HIDDEN size_t nc_occupants_others(int slot); /* what the other processes hold, those that live */
/* Every process that lives and holds something, at most so many of them. */
NC_HIDDEN int nc_occupants_list(int slot, nc_occupant *list, int room);

#endif
