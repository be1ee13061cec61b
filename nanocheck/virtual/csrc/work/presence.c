/* Which process is which rank of the run.
 *
 * Each says so when the library is loaded, in a file of the run's folder with a place for each global rank. A rank's
 * own children have its environment, but come later: a place is taken by the first process, until that has ended.
 */
#include "work/presence.h"
#include "base/processes.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST = 1 << 20 /* ranks */ };
typedef struct {
    uint64_t pid, born;
} place;

static int open_places(int flags) {
    const char *folder = getenv("NANOCHECK_MACHINE");
    char path[PATH_MAX];
    if (!folder || snprintf(path, sizeof path, "%s/nccl-ranks", folder) >= (int)sizeof path) return -1;
    return open(path, flags | O_CLOEXEC, 0600);
}
static bool read_place(int file, int rank, place *found) {
    return pread(file, found, sizeof *found, (off_t)sizeof *found * rank) == (ssize_t)sizeof *found
           && found->pid;
}

bool nc_presence(int rank, uint64_t *pid, uint64_t *born) {
    int file = rank < 0 || rank >= MOST ? -1 : open_places(O_RDONLY);
    place found = {0, 0};
    bool known = file >= 0 && read_place(file, rank, &found);
    if (file >= 0) close(file);
    *pid = found.pid;
    *born = found.born;
    return known;
}

__attribute__((constructor)) static void say_so(void) {
    const char *text = getenv("RANK");
    char *end = NULL;
    long rank = text ? strtol(text, &end, 10) : -1;
    int file = !text || end == text || *end || rank < 0 || rank >= MOST ? -1 : open_places(O_RDWR | O_CREAT);
    place there, own = {(uint64_t)getpid(), nc_process_born((int)getpid())};
    if (file < 0) return;
    bool taken = read_place(file, (int)rank, &there) && nc_process_born((int)there.pid) == there.born;
    if (!taken && pwrite(file, &own, sizeof own, (off_t)sizeof own * rank) < 0)
        own.pid = 0; /* then it is not known */
    close(file);
}
