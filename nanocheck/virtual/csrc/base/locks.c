/* Every lock of the library, and what becomes of them when the process forks.
 *
 * fork copies a lock as it is; one that another thread holds at that moment would stay shut in the child for ever.
 * So all of them are taken before a fork, in their order, and opened on both sides after it. The handlers are
 * registered when the library is loaded: registering them later, under a lock, could meet a fork that holds the
 * list of handlers and waits for that lock.
 */
#include "base/locks.h"
#include "base/report.h"
#include <pthread.h>

static pthread_mutex_t locks[NC_LOCKS] = {[0 ... NC_LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER};

#ifdef NC_CHECK_LOCKS /* the sanitizer builds: a thread that breaks the order stops, whether or not it hangs */
static __thread unsigned held;
static void note(nc_lock_name lock) {
    if (held >> lock) nc_fatal("lock %d is taken while %#x are held", (int)lock, held);
    held |= 1u << lock;
}
static void forget(nc_lock_name lock) { held &= ~(1u << lock); }
#else
static void note(nc_lock_name lock) { (void)lock; }
static void forget(nc_lock_name lock) { (void)lock; }
#endif

void nc_lock(nc_lock_name lock) {
    note(lock);
    pthread_mutex_lock(&locks[lock]);
}

void nc_unlock(nc_lock_name lock) {
    pthread_mutex_unlock(&locks[lock]);
    forget(lock);
}

static void before_fork(void) {
    for (int i = 0; i < NC_LOCKS; i++) nc_lock((nc_lock_name)i);
}

static void after_fork(void) {
    for (int i = NC_LOCKS; i-- > 0;) nc_unlock((nc_lock_name)i);
}

__attribute__((constructor)) static void watch_forks(void) {
    if (pthread_atfork(before_fork, after_fork, after_fork)) nc_fatal("no memory to watch for forks");
}
