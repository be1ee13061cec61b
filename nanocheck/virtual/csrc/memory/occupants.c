/* What each process of a run holds of one of the machine's cards, in a mapped file that all of them share.
 *
 * The lock in it is a robust one: whoever dies while he holds it leaves it to the next, and the one place he may have
 * been writing is his own. A process that is gone gives its bytes back at the next look, as the driver would.
 * Without NANOCHECK_MACHINE, or where its folder is gone, nobody else is on the card.
 */
#include "memory/occupants.h"
#include "base/machine.h"
#include "base/report.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PLACES = 512 };
typedef struct {
    pthread_mutex_t lock;
    nc_occupant places[PLACES];
} card_file;

static card_file *files[NC_CARDS_MOST];
static bool tried[NC_CARDS_MOST];
static nc_occupant *mine[NC_CARDS_MOST];

static void forked(void) { memset(mine, 0, sizeof mine); } /* the places are the parent's */
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, forked); }

/* When it began; 0: it is gone, or has only not been waited for: its memory is the card's again. */
static unsigned long long started(int pid) {
    char path[32], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    if (length <= 0) return 0;
    text[length] = 0;
    char *at = strrchr(text, ')'); /* a program's name may hold anything */
    char state = 'X';
    unsigned long long when = 0;
    if (!at
        || sscanf(at + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                  &state, &when)
               != 2)
        return 0;
    return state == 'Z' || state == 'X' ? 0 : when ? when : 1;
}

static card_file *mapped(const char *path) {
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return NULL;
    void *found = mmap(NULL, sizeof(card_file), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return found == MAP_FAILED ? NULL : found;
}

/* Made whole beside its name and then given it, so that nobody sees half of one. */
static void make(const char *path) {
    char own[4200];
    snprintf(own, sizeof own, "%s.%d", path, (int)getpid());
    int file = open(own, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) return;
    card_file *fresh = posix_fallocate(file, 0, sizeof *fresh) ? NULL : mapped(own);
    close(file);
    pthread_mutexattr_t kind;
    if (fresh && !pthread_mutexattr_init(&kind)) {
        pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
        if (!pthread_mutex_init(&fresh->lock, &kind) && link(own, path) && errno != EEXIST)
            nc_fatal("cannot make %s (%s): the processes would not share the card", path, strerror(errno));
    }
    unlink(own);
    if (fresh) munmap(fresh, sizeof *fresh);
}

static card_file *opened(int slot) {
    const char *folder = getenv("NANOCHECK_MACHINE"), *node = getenv("NANOCHECK_NODE");
    int card = slot + (node ? atoi(node) * nc_machine_all() : 0); /* as the run numbers its nodes' cards */
    char path[4096];
    if (tried[slot]) return files[slot];
    tried[slot] = true;
    if (!folder || !*folder || snprintf(path, sizeof path, "%s/card-%d", folder, card) >= (int)sizeof path)
        return NULL;
    if (!(files[slot] = mapped(path))) {
        make(path);
        files[slot] = mapped(path);
    }
    return files[slot];
}

static card_file *lock(int slot) {
    card_file *file = opened(slot);
    if (file && pthread_mutex_lock(&file->lock) == EOWNERDEAD) pthread_mutex_consistent(&file->lock);
    return file;
}

static bool lives(nc_occupant *place) {
    if (place->pid && started(place->pid) != place->started) place->pid = 0;
    return place->pid;
}

static size_t others(card_file *file, const nc_occupant *own, bool look) {
    size_t sum = 0;
    for (nc_occupant *p = file->places; p < file->places + PLACES; p++)
        if (p != own && p->pid && (!look || lives(p))) sum += p->bytes;
    return sum;
}

static nc_occupant *place_of_this_process(card_file *file) {
    int pid = (int)getpid();
    nc_occupant *empty = NULL;
    for (nc_occupant *p = file->places; p < file->places + PLACES; p++) {
        if (p->pid == pid) p->pid = 0; /* an earlier program of this process, or an earlier process */
        if (!p->pid && !empty) empty = p;
    }
    for (nc_occupant *p = file->places; !empty && p < file->places + PLACES; p++)
        if (!lives(p)) empty = p;
    if (!empty) nc_fatal("more than %d processes on one card", PLACES);
    *empty = (nc_occupant){pid, started(pid), 0};
    return empty;
}

bool nc_occupant_hold(int slot, size_t bytes, size_t most) {
    card_file *file = lock(slot);
    if (!file) return bytes <= most;
    if (!mine[slot]) mine[slot] = place_of_this_process(file);
    size_t taken = others(file, mine[slot], false);
    if (taken > most || bytes > most - taken) taken = others(file, mine[slot], true);
    bool fits = taken <= most && bytes <= most - taken;
    if (fits) mine[slot]->bytes = bytes;
    pthread_mutex_unlock(&file->lock);
    return fits;
}

size_t nc_occupants_others(int slot) {
    card_file *file = lock(slot);
    if (!file) return 0;
    size_t taken = others(file, mine[slot], true);
    pthread_mutex_unlock(&file->lock);
    return taken;
}

int nc_occupants_list(int slot, nc_occupant *list, int room) {
    int found = 0;
    card_file *file = lock(slot);
    if (!file) return 0;
    for (nc_occupant *p = file->places; p < file->places + PLACES; p++)
        if (lives(p) && found < room) list[found++] = *p;
    pthread_mutex_unlock(&file->lock);
    return found;
}
