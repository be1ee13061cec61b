/* Collectives finish when the host waits for the card, not before.
 *
 * PyTorch keeps the tensors of an asynchronous collective alive until a thread of its own, which asks
 * ten times a second, has found it finished (ProcessGroupNCCL's watchdog; the next collective then lets
 * them go). A real card is behind the host until the host waits for it, and a step takes longer than
 * the watchdog's pause. Here a step takes milliseconds, and the peak would depend on how busy this
 * machine is. So the event right after a collective is not finished for the watchdog until somebody
 * waits for the card, and whoever waits does so until the watchdog has asked for each of them.
 *
 * Where a real step is shorter than the watchdog's pause, it finds a step's collectives finished only after later
 * ones were issued, and their tensors live as much longer. NANOCHECK_COLLECTIVES_BEHIND says by how many steps:
 * those between two waits for the card are one step's.
 */
#include "work/collectives.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/locks.h"
#include "base/report.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef NC_WAITS_MS /* tests wait less */
#define NC_WAITS_MS 1000
#endif
enum { STEP_US = 1000, AFTERWARDS_US = 10000, BEHIND_S = 10 /* nobody waits: finished after all */ };
enum { MOST_BEHIND = 64 };

/* Changed under the lock; `unseen` is also read without it, by those who would not wait anyway. */
static unsigned long long issued, finished;   /* marks, in the order they were made */
static unsigned long long given_up;           /* those up to here nobody asks for */
static unsigned long long steps[MOST_BEHIND]; /* the last mark of each of the last steps, the latest first */
static int unseen;                            /* later ones that the watchdog has not found finished */
static __thread bool works;    /* this thread issues collectives or waits for the card: it is no watchdog */
static __thread bool expected; /* the next event this thread records on `after` is a collective's end */
static __thread cudaStream_t after;

#define GET(variable) __atomic_load_n(&(variable), __ATOMIC_ACQUIRE)
#define SET(variable, value) __atomic_store_n(&(variable), value, __ATOMIC_RELEASE)

static long long seconds(void) { return nc_clock_machine() / 1000000000LL; }

void nc_collective_issued(cudaStream_t stream, bool captured) {
    works = true;
    expected = !captured;
    after = stream;
}

static void clear(nc_mark *mark) {
    if (mark->number > given_up) SET(unseen, unseen - 1);
    SET(mark->number, 0);
}

void nc_mark_clear(nc_mark *mark) {
    if (!GET(mark->number)) return; /* as nearly every event */
    nc_lock(NC_LOCK_COLLECTIVES);
    clear(mark);
    nc_unlock(NC_LOCK_COLLECTIVES);
}

void nc_mark_recorded(nc_mark *mark, cudaStream_t stream) {
    bool marked = expected && stream == after;
    if (!marked && !GET(mark->number)) return;
    nc_lock(NC_LOCK_COLLECTIVES);
    clear(mark);
    if (marked) {
        expected = false;
        mark->since = seconds();
        SET(unseen, unseen + 1);
        SET(mark->number, ++issued);
    }
    nc_unlock(NC_LOCK_COLLECTIVES);
}

bool nc_mark_finished(nc_mark *mark) {
    if (works || !GET(mark->number)) return true;
    nc_lock(NC_LOCK_COLLECTIVES);
    bool done = mark->number <= finished || seconds() - mark->since >= BEHIND_S;
    if (done) clear(mark);
    nc_unlock(NC_LOCK_COLLECTIVES);
    return done;
}

/* Nobody asks for those that were issued so far (a group without a watchdog): do not wait for these again. */
static void give_up(void) {
    nc_trace("collectives that nobody asked for");
    nc_lock(NC_LOCK_COLLECTIVES);
    given_up = issued;
    SET(unseen, 0);
    nc_unlock(NC_LOCK_COLLECTIVES);
}

static size_t steps_behind(void) {
    const char *text = getenv("NANOCHECK_COLLECTIVES_BEHIND");
    int steps_said = text ? atoi(text) : 0;
    return steps_said < 0 ? 0 : steps_said < MOST_BEHIND ? (size_t)steps_said : MOST_BEHIND - 1;
}

/* Those of all but the last `behind` steps; how many are not finished then. */
static int finish(size_t behind) {
    nc_lock(NC_LOCK_COLLECTIVES);
    if (issued != steps[0]) {
        memmove(steps + 1, steps, sizeof steps - sizeof *steps);
        steps[0] = issued;
    }
    finished = steps[behind];
    int left = (int)(issued - finished);
    nc_unlock(NC_LOCK_COLLECTIVES);
    return left;
}

void nc_host_waits(void) {
    nc_count(NC_WAITS);
    if (GET(unseen) <= 0) return;
    works = true;
    int left = finish(steps_behind());
    for (int waited = 0; waited < NC_WAITS_MS; waited++) {
        usleep(STEP_US);
        if (GET(unseen) > left) continue;
        usleep(AFTERWARDS_US); /* it has asked; now it takes note */
        return;
    }
    give_up();
}

static void forked(void) { /* the watchdog stays in the parent */
    given_up = issued;
    unseen = 0;
}
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, forked); }
