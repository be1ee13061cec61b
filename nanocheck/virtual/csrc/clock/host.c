/* The clock that a program is shown: the machine's, and what waiting for the card would have taken.
 *
 * A library of its own, preloaded before the others and only where somebody asked for the clock. Times until which
 * somebody wants to sleep were computed from the shown clock, and are turned back into the machine's. Clocks of the
 * processor's time stay as they are.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { SECOND = 1000000000 }; /* nanoseconds */
typedef struct timespec moment;

/* base/clock.c. Weak: a program that preloads this library alone is shown the machine's clock. */
__attribute__((weak)) extern long long nanocheck_clock_ahead(void);
static long long ahead(void) { return nanocheck_clock_ahead ? nanocheck_clock_ahead() : 0; }

static moment moved(moment t, long long by) {
    long long nanoseconds = (long long)t.tv_nsec + by % SECOND;
    t.tv_sec += by / SECOND;
    if (nanoseconds < 0) {
        nanoseconds += SECOND;
        t.tv_sec--;
    } else if (nanoseconds >= SECOND) {
        nanoseconds -= SECOND;
        t.tv_sec++;
    }
    t.tv_nsec = nanoseconds;
    return t;
}

/* What is shown. The system calls: glibc's own functions may be asked before this library's constructor has run. */

int clock_gettime(clockid_t clock, moment *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    bool processor = clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID || clock < 0;
    if (!failed && !processor) *now = moved(*now, ahead());
    return failed;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    moment t;
    clock_gettime(CLOCK_REALTIME, &t);
    *now = (struct timeval){.tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000};
    return 0;
}
time_t time(time_t *now) {
    moment t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (now) *now = t.tv_sec;
    return t.tv_sec;
}

/* What is waited for: glibc declares that no argument is null. */

/* The next definition of a function; on x86-64 that of condition variables' second version, which all use. */
static void *next(const char *name) {
    void *found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
    return found ? found : dlsym(RTLD_NEXT, name);
}
#define NEXT(name)                                 \
    static __typeof__(&name) real;                 \
    if (!__atomic_load_n(&real, __ATOMIC_ACQUIRE)) \
    __atomic_store_n(&real, (__typeof__(&name))next(#name), __ATOMIC_RELEASE)
static moment of_machine(const moment *shown) { return moved(*shown, -ahead()); }

int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
                           const moment *restrict until) {
    NEXT(pthread_cond_timedwait);
    moment t = of_machine(until);
    return real(c, m, &t);
}
int pthread_cond_clockwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m, clockid_t clock,
                           const moment *restrict until) {
    NEXT(pthread_cond_clockwait);
    moment t = of_machine(until);
    return real(c, m, clock, &t);
}
int pthread_mutex_timedlock(pthread_mutex_t *restrict m, const moment *restrict until) {
    NEXT(pthread_mutex_timedlock);
    moment t = of_machine(until);
    return real(m, &t);
}
int pthread_mutex_clocklock(pthread_mutex_t *restrict m, clockid_t clock, const moment *restrict until) {
    NEXT(pthread_mutex_clocklock);
    moment t = of_machine(until);
    return real(m, clock, &t);
}
int sem_timedwait(sem_t *restrict s, const moment *restrict until) {
    NEXT(sem_timedwait);
    moment t = of_machine(until);
    return real(s, &t);
}
int sem_clockwait(sem_t *restrict s, clockid_t clock, const moment *restrict until) {
    NEXT(sem_clockwait);
    moment t = of_machine(until);
    return real(s, clock, &t);
}
int clock_nanosleep(clockid_t clock, int flags, const moment *time, moment *left) {
    NEXT(clock_nanosleep);
    moment t = flags & TIMER_ABSTIME ? of_machine(time) : *time;
    return real(clock, flags, &t, left);
}
