/* The card's clock.
 *
 * Kernels are not executed, so what they would take comes from outside: the pace is the time of one launch, a
 * model's seconds of a step over the launches of that step. A launch begins when the host has issued it and the
 * one before it is done. Who waits for the card does not sleep: the host's clock, as the program is shown it
 * (clock/host.c), jumps to where the card's is. It never goes back, and no memory hangs on it.
 *
 * While Inductor times candidates the clock stands still: all must take equally long, or the choice of kernels,
 * and with it memory, would hang on the pace.
 */
#include "base/clock.h"
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long pace;  /* nanoseconds of a launch; 0: off */
static int standing;    /* how many asked for it */
static long long done;  /* on the host's clock, when the last launch ends */
static long long ahead; /* of the host's clock before the machine's */

#define GET(variable) __atomic_load_n(&(variable), __ATOMIC_ACQUIRE)

long long nc_clock_machine(void) {
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now); /* the function may be ours */
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static bool off(void) { return GET(pace) <= 0 || GET(standing) > 0; }
static long long host(void) { return nc_clock_machine() + GET(ahead); }
static void raise_to(long long *variable, long long least) {
    long long was = GET(*variable);
    while (was < least
           && !__atomic_compare_exchange_n(variable, &was, least, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    }
}

static void issue(long long launches) {
    if (off()) return;
    long long from = host(), was = GET(done), then;
    do then = (was > from ? was : from) + launches * GET(pace);
    while (!__atomic_compare_exchange_n(&done, &was, then, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
}
void nc_clock_issued(void) { issue(1); }

void nc_clock_waited(long long until) {
    if (!off()) raise_to(&ahead, (until ? until : GET(done)) - nc_clock_machine());
}

long long nc_clock_done(void) {
    if (off()) return 0;
    long long now = host(), last = GET(done);
    return last > now ? last : now;
}

void nanocheck_clock_pace(long long nanoseconds) { __atomic_store_n(&pace, nanoseconds, __ATOMIC_RELEASE); }
/* Nested; +1 and -1. */
void nanocheck_clock_stand(int more) { __atomic_add_fetch(&standing, more, __ATOMIC_ACQ_REL); }
/* Launches that no call of CUDA shows: those of kernels that Inductor generated. */
void nanocheck_clock_launches(long long launches) { issue(launches); }
long long nanocheck_clock_ahead(void) { return GET(ahead); }
