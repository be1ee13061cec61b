/* The machine's cards: how many there are, which this process sees, and which one a thread works on.
 *
 * A slot is the machine's number of a card; an ordinal is the process's, as CUDA_VISIBLE_DEVICES orders them.
 */
#ifndef NANOCHECK_MACHINE_H
#define NANOCHECK_MACHINE_H
#include "base/base.h"

enum { NC_CARDS_MOST = 64 };

NC_HIDDEN int nc_machine_all(void);   /* slots; 0: no card was chosen */
NC_HIDDEN int nc_machine_cards(void); /* visible ones */
NC_HIDDEN bool nc_machine_has(int ordinal);
NC_HIDDEN int nc_machine_slot(int ordinal); /* 0 where there is no such card */
NC_HIDDEN int nc_machine_ordinal(int slot); /* -1: not visible */

NC_HIDDEN int nc_machine_current(void); /* this thread's ordinal */
NC_HIDDEN void nc_machine_use(int ordinal);
NC_HIDDEN int nc_machine_here(void); /* this thread's slot */

#endif
