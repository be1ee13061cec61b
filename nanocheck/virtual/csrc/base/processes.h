/* Another process of this machine: whether it lives, and whether it works. */
#ifndef NANOCHECK_PROCESSES_H
#define NANOCHECK_PROCESSES_H
#include "base/base.h"

/* When it began, in the kernel's ticks; with the number, one process for good. 0: there is none, or it has ended. */
NC_HIDDEN uint64_t nc_process_born(int pid);
/* Processor time that it and its living descendants have used, in ticks of 10 ms as Linux shows them. */
NC_HIDDEN uint64_t nc_process_ticks(int pid);

#endif
