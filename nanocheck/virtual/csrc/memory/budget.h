/* Each card's memory budget: what is left of it after contexts, the others and what was handed out.
 *
 * A card is named by its slot. Under `nanocheck run` the processes of a run share it (occupants.c).
 */
#ifndef NANOCHECK_BUDGET_H
#define NANOCHECK_BUDGET_H
#include "base/base.h"

NC_HIDDEN bool
nc_budget_enter(int slot); /* a context on the card, from its first use on; false: it is full */
NC_HIDDEN bool nc_budget_take(int slot, size_t bytes); /* false: the card is full */
NC_HIDDEN void nc_budget_give(int slot, size_t bytes);
NC_HIDDEN size_t nc_budget_free(int slot); /* for a program: it has a context then */
NC_HIDDEN size_t nc_budget_left(int slot); /* for who only looks on: nvidia-smi */
NC_HIDDEN size_t
nc_budget_process(int slot); /* what nvidia-smi would show for this process; 0: it is not there */
NC_HIDDEN size_t nc_budget_peak(int slot); /* the most it would have shown */
NC_HIDDEN int nc_budget_list(int slot, unsigned *pids, size_t *bytes, int room); /* all processes there */

#endif
