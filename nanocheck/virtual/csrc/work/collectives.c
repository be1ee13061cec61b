/* Collectives finish when the host waits for the card, not before.
 *
 * PyTorch keeps the tensors of an asynchronous collective alive until a thread of its own, which asks
 * ten times a second, has found it finished (ProcessGroupNCCL's watchdog; the next collective then lets
 * them go). A real card is behind the host until the host waits for it, and a step takes longer than
 * the watchdog's pause. Here a step takes milliseconds, and the peak would depend on how busy this
 * machine is. So the event right after a collective is not finished for the watchdog until somebody
 * waits for the card, and whoever waits does so until the watchdog has asked for each of them.
 */
#include "work/collectives.h"
#include "base/report.h"
#include <time.h>
#include <unistd.h>

enum {
    STEP_US = 1000,
    LONGEST_MS = 1000,
    AFTERWARDS_US = 10000,
    BEHIND_S = 10 /* nobody waits: finished after all */
};

static unsigned long long issued, finished; /* marks, in the order they were made */
static unsigned long long given_up;         /* those up to here nobody asks for */
static int unseen;                          /* later ones that the watchdog has not found finished */
static __thread bool works;    /* this thread issues collectives or waits for the card: it is no watchdog */
static __thread bool expected; /* the next event this thread records on `after` is a collective's end */
static __thread cudaStream_t after;

#define GET(variable) __atomic_load_n(&(variable), __ATOMIC_ACQUIRE)

static long long seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

void nc_collective_issued(cudaStream_t stream, bool captured) {
    works = true;
    expected = !captured;
    after = stream;
}

void nc_mark_clear(nc_mark *mark) {
    unsigned long long number = __atomic_exchange_n(&mark->number, 0, __ATOMIC_ACQ_REL);
    if (number > GET(given_up)) __atomic_sub_fetch(&unseen, 1, __ATOMIC_ACQ_REL);
}

void nc_mark_recorded(nc_mark *mark, cudaStream_t stream) {
    nc_mark_clear(mark);
    if (!expected || stream != after) return;
    expected = false;
    mark->since = seconds();
    __atomic_add_fetch(&unseen, 1, __ATOMIC_ACQ_REL);
    __atomic_store_n(&mark->number, __atomic_add_fetch(&issued, 1, __ATOMIC_ACQ_REL), __ATOMIC_RELEASE);
}

bool nc_mark_finished(nc_mark *mark) {
    unsigned long long number = GET(mark->number);
    if (works || !number) return true;
    if (number > GET(finished) && seconds() - mark->since < BEHIND_S) return false;
    nc_mark_clear(mark);
    return true;
}

void nc_host_waits(void) {
    if (GET(unseen) <= 0) return;
    works = true;
    __atomic_store_n(&finished, GET(issued), __ATOMIC_RELEASE);
    for (int waited = 0; waited < LONGEST_MS; waited++) {
        usleep(STEP_US);
        if (GET(unseen) > 0) continue;
        usleep(AFTERWARDS_US); /* it has asked; now it takes note */
        return;
    }
    /* Nobody asks for them (a group without a watchdog): do not wait for these again. */
    nc_trace("collectives that nobody asked for");
    __atomic_store_n(&given_up, GET(issued), __ATOMIC_RELEASE);
    __atomic_store_n(&unseen, 0, __ATOMIC_RELEASE);
}
