/* Opening and closing what members share: a sparse file of the run's folder, or memory of this process. */
#include "work/exchange_file.h"
#include "base/locks.h"
#include "base/processes.h"
#include "work/presence.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static nc_exchange *exchanges; /* under the lock */
static unsigned process;       /* counts forks: what the parent opened is not the child's */

static bool path_of(uint64_t key, char path[PATH_MAX]) {
    const char *folder = getenv("NANOCHECK_MACHINE");
    return folder && snprintf(path, PATH_MAX, "%s/nccl-%016llx", folder, (unsigned long long)key) < PATH_MAX;
}

static void *map_file(uint64_t key, size_t bytes) {
    char path[PATH_MAX];
    if (!path_of(key, path)) return errno = ENOENT, MAP_FAILED;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return MAP_FAILED;
    void *memory = ftruncate(file, (off_t)bytes)
                       ? MAP_FAILED
                       : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
    close(file);
    return memory;
}

/* Under the lock. Two members of one process share the memory. */
static char *map(uint64_t key, size_t bytes, bool shared) {
    for (nc_exchange *at = exchanges; at; at = at->next)
        if (!shared && !at->shared && at->key == key && !nc_exchange_foreign(at)) return at->memory;
    void *memory = shared ? map_file(key, bytes)
                          : mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

nc_exchange *nc_exchange_open(uint64_t key, int members, int own, bool shared, const int *global) {
    nc_exchange *x = calloc(1, sizeof *x + sizeof *global * (size_t)members);
    if (!x) return NULL;
    *x = (nc_exchange){
        .key = key, .members = members, .own = own, .shared = shared, .process = NC_READ(process)};
    memcpy(x->global, global, sizeof *global * (size_t)members);
    nc_lock(NC_LOCK_EXCHANGE);
    x->memory = map(key, nc_exchange_bytes(members), shared);
    if (x->memory) {
        x->next = exchanges;
        exchanges = x;
    }
    nc_unlock(NC_LOCK_EXCHANGE);
    if (!x->memory) {
        free(x);
        return NULL;
    }
    nc_member *me = nc_member_of(x, own);
    int pid = (int)getpid();
    NC_WRITE(me->born, nc_process_born(pid));
    NC_WRITE(me->rank, (uint64_t)(nc_presence_rank() + 1));
    NC_WRITE(me->pid, (uint64_t)pid);
    NC_WRITE(me->state, NC_HERE);
    nc_exchange_ring(me);
    return x;
}

bool nc_exchange_foreign(const nc_exchange *x) { return x->process != NC_READ(process); }

void nc_exchange_ring(nc_member *member) {
    __atomic_add_fetch(&member->bell, 1, __ATOMIC_SEQ_CST);
    if (NC_READ(member->listeners)) syscall(SYS_futex, &member->bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void say_goodbye(nc_exchange *x, uint64_t state) {
    if (nc_exchange_foreign(x)) return;
    NC_WRITE(nc_member_of(x, x->own)->state, state);
    nc_exchange_ring(nc_member_of(x, x->own));
}

static bool nobody_else(const nc_exchange *x) { /* all have come and left */
    for (int i = 0; i < x->members; i++)
        if (NC_READ(nc_member_of(x, i)->state) < NC_HAS_LEFT) return false;
    return true;
}

void nc_exchange_close(nc_exchange *x) {
    char path[PATH_MAX];
    bool others = false;
    say_goodbye(x, NC_HAS_LEFT);
    if (x->shared && !nc_exchange_foreign(x) && nobody_else(x) && path_of(x->key, path)) unlink(path);
    nc_lock(NC_LOCK_EXCHANGE);
    for (nc_exchange **at = &exchanges; *at;) {
        if (*at == x) {
            *at = x->next;
            continue;
        }
        others |= (*at)->memory == x->memory;
        at = &(*at)->next;
    }
    nc_unlock(NC_LOCK_EXCHANGE);
    if (!others) munmap(x->memory, nc_exchange_bytes(x->members));
    free(x);
}

int nc_exchange_rank(const nc_exchange *x, int member) {
    return x->global[member] >= 0 ? x->global[member] : (int)NC_READ(nc_member_of(x, member)->rank) - 1;
}

/* A process that is killed says nothing: nc_exchange_await looks for it. */
__attribute__((destructor)) static void at_exit(void) {
    nc_lock(NC_LOCK_EXCHANGE);
    for (nc_exchange *at = exchanges; at; at = at->next) say_goodbye(at, NC_HAS_ENDED);
    nc_unlock(NC_LOCK_EXCHANGE);
}

static void forked(void) { NC_WRITE(process, process + 1); }
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, forked); }
