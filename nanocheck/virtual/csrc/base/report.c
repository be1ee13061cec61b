/* What happens when a program asks for something nobody answers: it stops, with the symbol's name. */
#include "base/report.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef NC_VERSION
#error "build.py passes the hash of these sources"
#endif
const char *nanocheck_virtual_version(void) { return NC_VERSION; }

/* For whoever observes the command, and does not read what its processes say. */
static void leave_word(const char *what) {
    const char *folder = getenv("NANOCHECK_RUN");
    char path[4096];
    if (!folder || snprintf(path, sizeof path, "%s/unanswered-%d", folder, (int)getpid()) >= (int)sizeof path)
        return;
    FILE *file = fopen(path, "w");
    if (!file) return;
    fprintf(file, "the virtual GPU does not answer %s\n", what);
    fclose(file);
}

/* The observer has Python's stacks written on a signal; a process that does not catch it would die of it. */
static void leave_stacks(void) {
    const char *number = getenv("NANOCHECK_RUN_STACK_SIGNAL");
    struct sigaction action;
    int wanted = number ? atoi(number) : 0;
    if (wanted > 0 && !sigaction(wanted, NULL, &action) && action.sa_handler != SIG_DFL
        && action.sa_handler != SIG_IGN)
        raise(wanted);
}

void nc_refuse(const char *what, const char *hint) {
    /* The parent process looks for the first line, or for the file: it becomes the verdict `unsupported`. */
    leave_word(what);
    leave_stacks();
    fprintf(stderr, "\nnanocheck: the virtual GPU does not answer %s\n  %s\n", what, hint);
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
    static int known; /* 1: wanted, 2: not */
    int wanted = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (!wanted) __atomic_store_n(&known, wanted = getenv("NANOCHECK_TRACE") ? 1 : 2, __ATOMIC_RELAXED);
    if (wanted != 1) return;
    va_list arguments;
    va_start(arguments, format);
    fputs("virtual GPU: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}
