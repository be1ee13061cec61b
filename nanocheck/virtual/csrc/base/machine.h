/* How many cards the machine has, as this process sees it. */
#ifndef NANOCHECK_MACHINE_H
#define NANOCHECK_MACHINE_H
#include "base/base.h"

NC_HIDDEN int nc_machine_cards(void); /* visible ones; 0: none was chosen */
NC_HIDDEN bool nc_machine_has(int ordinal);
NC_HIDDEN int nc_machine_slot(int ordinal); /* of the visible card: which of the machine's it is */

#endif
