/* What happens when a program asks for something nobody answers: it stops, with the symbol's name. */
#include "base/report.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef NC_VERSION
#error "build.py passes the hash of these sources"
#endif
const char *nanocheck_virtual_version(void) { return NC_VERSION; }

void nc_refuse(const char *what, const char *mend) {
    /* The first line is known to nanocheck/harness: it turns into the verdict `unsupported`. */
    fprintf(stderr, "\nnanocheck: the virtual GPU does not answer %s\n  %s\n", what, mend);
    fflush(stderr);
    abort();
}

void nc_unimplemented(const char *symbol) {
    nc_refuse(symbol, "Stopping here: a made-up answer could change the result. Please report the symbol.");
}

void nc_fatal(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("\nnanocheck: virtual GPU: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    fflush(stderr);
    abort();
}

void nc_trace(const char *format, ...) {
    static int wanted = -1;
    if (wanted < 0) wanted = getenv("NANOCHECK_TRACE") != NULL;
    if (!wanted) return;
    va_list arguments;
    va_start(arguments, format);
    fputs("virtual GPU: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}
