/* Waiting for a member of an exchange: bounded, and not for one that has ended.
 *
 * Somebody who works is worth waiting for, however long: a rank compiles for minutes. So patience counts from when
 * the member was last seen to work: its process uses the processor, or it waits itself for one that works. Each
 * that waits passes on what it has seen (`heard`), so that a ring of waiting ranks hears nothing new and ends.
 */
#include "work/exchange_wait.h"
#include "base/clock.h"
#include "base/processes.h"
#include "work/presence.h"
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    SECOND = 1000000000,
    NAP = SECOND / 5,
    TICKS = 1 /* a second: less is a thread that looks at a clock */
};

double nc_exchange_patience(void) {
    const char *text = getenv("NANOCHECK_RANK_WAIT_S");
    double seconds = text ? atof(text) : 0;
    return seconds > 0 ? seconds : 60;
}

typedef struct {
    uint64_t pid, born; /* 0: nothing is known of it */
} process;

/* Of a member that has not come, the process that is its rank. */
static process process_of(const nc_exchange *x, int index) {
    const nc_member *member = nc_member_of(x, index);
    process found = {0, 0};
    if (NC_READ(member->state) != NC_NOT_YET) return (process){NC_READ(member->pid), NC_READ(member->born)};
    if (x->shared) nc_presence(nc_exchange_rank(x, index), &found.pid, &found.born);
    return found;
}

/* As far as is known without waiting; `look`: for the process, too, which may have been killed. */
static nc_absence ended(const nc_exchange *x, int index, bool look) {
    uint64_t state = NC_READ(nc_member_of(x, index)->state);
    if (state == NC_HAS_LEFT) return NC_LEFT;
    if (state == NC_HAS_ENDED) return NC_ENDED;
    process who = look ? process_of(x, index) : (process){0, 0};
    if (!who.pid || nc_process_born((int)who.pid) == who.born) return NC_CAME;
    return state == NC_HERE ? NC_DIED : NC_ENDED;
}

typedef struct {
    uint64_t looked, ticks, since, heard; /* ticks: at `since` */
} watch;

/* Now and then: has it worked, or somebody that it waits for? */
static void listen(watch *w, const nc_exchange *x, int index, uint64_t now) {
    uint64_t heard = x->shared ? nc_presence_heard(nc_exchange_rank(x, index)) : 0;
    int pid = (int)process_of(x, index).pid;
    if (pid && pid != (int)getpid()) {
        uint64_t ticks = nc_process_ticks(pid);
        if (ticks >= w->ticks + TICKS * ((now - w->since) / SECOND + 1)) {
            heard = now;
            *w = (watch){now, ticks, now, w->heard};
        }
    }
    w->looked = now;
    if (heard > w->heard) {
        w->heard = heard;
        if (x->shared && !nc_exchange_foreign(x)) nc_presence_hear(heard);
    }
}

static void sleep_on(nc_member *member, uint32_t bell) {
    struct timespec nap = {0, NAP};
    syscall(SYS_futex, &member->bell, FUTEX_WAIT, bell, &nap, NULL, 0);
}

nc_absence nc_exchange_await(nc_exchange *x, int index, uint64_t number, nc_progress of) {
    nc_member *member = nc_member_of(x, index);
    const uint64_t *word = of == NC_DONE ? &member->done : &member->posted;
    if (NC_READ(*word) >= number) return NC_CAME;
    uint64_t now = (uint64_t)nc_clock_machine(), patience = (uint64_t)(nc_exchange_patience() * SECOND);
    watch w = {0, 0, 0, now}; /* of the process, only when it has not come soon */
    nc_absence how = NC_CAME;
    __atomic_add_fetch(&member->listeners, 1, __ATOMIC_SEQ_CST);
    while (NC_READ(*word) < number) {
        uint32_t bell = NC_READ(member->bell);
        how = ended(x, index, w.looked != 0);
        if (how == NC_CAME && now - w.heard > patience) how = NC_QUIET;
        if (NC_READ(*word) >= number || how != NC_CAME) break;
        sleep_on(member, bell);
        now = (uint64_t)nc_clock_machine();
        if (!w.looked) w = (watch){now, nc_process_ticks((int)process_of(x, index).pid), now, w.heard};
        else if (now - w.looked >= SECOND || now - w.looked >= patience / 5) listen(&w, x, index, now);
    }
    if (NC_READ(*word) >= number) how = NC_CAME; /* and then it may have ended */
    __atomic_sub_fetch(&member->listeners, 1, __ATOMIC_SEQ_CST);
    return how;
}

/* Without waiting, and for processes that were killed once a second: they say nothing. */
int nc_exchange_missing(nc_exchange *x, uint64_t number, nc_absence *how) {
    long long now = nc_clock_machine(), was = NC_READ(x->looked);
    bool look =
        now - was >= SECOND
        && __atomic_compare_exchange_n(&x->looked, &was, now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    for (int i = 0; i < x->members; i++) {
        *how = i == x->own ? NC_CAME : ended(x, i, look);
        if (*how != NC_CAME && NC_READ(nc_member_of(x, i)->posted) < number) return i;
    }
    return -1;
}
