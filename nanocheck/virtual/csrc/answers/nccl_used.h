/* Which communicators a process uses of each card, and what NCCL takes of the card for them.
 *
 * Connections have buffers, which NCCL allocates when a collective first needs them (since 2.22; before, and with
 * NCCL_RUNTIME_CONNECT=0, when the communicator is made) and frees with the communicator. How large they are is known
 * as a range (nanocheck/core/nccl_memory.py, whose rules and sources these are): taken here is the least, so that a
 * run that finds no room here finds none on the card.
 */
#ifndef NANOCHECK_NCCL_USED_H
#define NANOCHECK_NCCL_USED_H
#include "answers/nccl.h"

NC_HIDDEN ncclResult_t nc_nccl_made(ncclComm_t comm);
/* Those of messages between two ranks are others. Fails where the card is full, as cudaMalloc does within NCCL. */
NC_HIDDEN ncclResult_t nc_nccl_used(ncclComm_t comm, bool message);
NC_HIDDEN void nc_nccl_gone(ncclComm_t comm);

#endif
