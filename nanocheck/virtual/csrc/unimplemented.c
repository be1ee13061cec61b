/* What happens when a program asks for something nobody answers: it stops, with the symbol's name. */
#include "nc.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__thread cudaError_t nc_last_error = cudaSuccess;

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

void *nc_handle(void) {
    static uintptr_t last = 0x10000;
    return (void *)__atomic_add_fetch(&last, 64, __ATOMIC_RELAXED);
}
