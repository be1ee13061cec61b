/* How the library speaks, and how it stops a run that it cannot answer. */
#ifndef NANOCHECK_REPORT_H
#define NANOCHECK_REPORT_H
#include "base/base.h"

/* A function that nobody wrote: the run stops, with the symbol's name. */
NC_HIDDEN _Noreturn void nc_unimplemented(const char *symbol);
/* The same for one that cannot be answered; the second text says what the user can do. */
NC_HIDDEN _Noreturn void nc_refuse(const char *what, const char *hint);
/* The library itself cannot go on. */
NC_HIDDEN _Noreturn void nc_fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line to stderr where NANOCHECK_TRACE is set. */
NC_HIDDEN void nc_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
