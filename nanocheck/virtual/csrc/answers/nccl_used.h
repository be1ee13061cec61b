/* How many communicators of each size a process used at once: NCCL takes memory for each, which counts as zero here
 * and is a figure of the catalog (nanocheck/core/nccl_memory.py). */
#ifndef NANOCHECK_NCCL_USED_H
#define NANOCHECK_NCCL_USED_H
#include "answers/nccl.h"

/* Connections are made when they are first needed; those of messages between two ranks are others. */
NC_HIDDEN void nc_nccl_used(ncclComm_t comm, bool message);
NC_HIDDEN void nc_nccl_gone(ncclComm_t comm);

#endif
