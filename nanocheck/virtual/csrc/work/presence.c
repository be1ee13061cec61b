/* Which process is which rank of the run.
 *
 * Each says so when the library is loaded, or with its first communicator where no launcher told it, in a file of the
 * run's folder with a place for each global rank. A rank's own children have its environment, but come later: a place
 * is taken by the first process, until that has ended.
 */
#include "work/presence.h"
#include "base/processes.h"
#include "base/report.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST = 1 << 20 /* ranks */ };
typedef struct {
    uint64_t pid, born, heard;
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
    place found = {0, 0, 0};
    bool known = file >= 0 && read_place(file, rank, &found);
    if (file >= 0) close(file);
    *pid = found.pid;
    *born = found.born;
    return known;
}

/* What a process said of itself as a rank (NANOCHECK_PLACE: its id, rank, world), else what its launcher did. */
static int told(int place, const char *by_the_launcher) {
    const char *own = getenv("NANOCHECK_PLACE"), *text = getenv(by_the_launcher);
    int said[3];
    /* A child has its parent's variables, and is no rank by them. */
    if (own && sscanf(own, "%d %d %d", &said[0], &said[1], &said[2]) == 3 && said[0] == getpid())
        return said[place];
    char *end = NULL;
    long number = text ? strtol(text, &end, 10) : -1;
    return !text || end == text || *end || number < 0 || number >= MOST ? -1 : (int)number;
}
int nc_presence_rank(void) { return told(1, "RANK"); }
int nc_presence_world(void) { return told(2, "WORLD_SIZE"); }

uint64_t nc_presence_heard(int rank) {
    int file = rank < 0 || rank >= MOST ? -1 : open_places(O_RDONLY);
    place found = {0, 0, 0};
    if (file < 0) return 0;
    if (!read_place(file, rank, &found)) found.heard = 0;
    close(file);
    return found.heard;
}

static void write_place(int file, int rank, size_t from, const void *what, size_t bytes) {
    off_t at = (off_t)sizeof(place) * rank + (off_t)from;
    if (pwrite(file, what, bytes, at) < 0) nc_trace("a rank could not say that it is there");
}

void nc_presence_hear(uint64_t when) {
    int rank = nc_presence_rank(), file = rank < 0 ? -1 : open_places(O_RDWR);
    place there;
    if (file < 0) return;
    if (read_place(file, rank, &there) && there.pid == (uint64_t)getpid() && there.heard < when)
        write_place(file, rank, offsetof(place, heard), &when, sizeof when);
    close(file);
}

__attribute__((constructor)) void nc_presence_say(void) {
    int rank = nc_presence_rank(), file = rank < 0 ? -1 : open_places(O_RDWR | O_CREAT);
    place there, own = {(uint64_t)getpid(), nc_process_born((int)getpid()), 0};
    if (file < 0) return;
    bool taken = read_place(file, rank, &there) && nc_process_born((int)there.pid) == there.born;
    if (!taken) write_place(file, rank, 0, &own, sizeof own);
    close(file);
}
