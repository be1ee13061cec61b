/* Which architectures a module was built for. */
#ifndef NANOCHECK_FATBIN_H
#define NANOCHECK_FATBIN_H
#include "base/card.h"

NC_HIDDEN int nc_fatbin_arch(const void *wrapper, const nc_card *card);

#endif
