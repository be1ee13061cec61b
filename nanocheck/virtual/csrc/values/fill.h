/* The one kind of kernel whose effect is carried out. */
#ifndef NANOCHECK_FILL_H
#define NANOCHECK_FILL_H
#include "base/base.h"

NC_HIDDEN int nc_fill_width(const char *kernel_name); /* bytes per element, 0: not a fill */
NC_HIDDEN bool nc_fill_run(int width, void **arguments);

#endif
