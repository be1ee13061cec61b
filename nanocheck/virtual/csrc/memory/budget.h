/* The card's memory budget: what is left of it after the context, the others and what was handed out. */
#ifndef NANOCHECK_BUDGET_H
#define NANOCHECK_BUDGET_H
#include "base/base.h"

NC_HIDDEN bool nc_budget_take(size_t bytes); /* false: the card is full */
NC_HIDDEN void nc_budget_give(size_t bytes);
NC_HIDDEN size_t nc_budget_free(void);
NC_HIDDEN size_t nc_budget_process(void); /* what nvidia-smi would show for this process */
NC_HIDDEN size_t nc_budget_peak(void);    /* the most it would have shown */

#endif
