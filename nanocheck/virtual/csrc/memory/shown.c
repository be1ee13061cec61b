/* What this process holds of each card, where other processes can read it: $NANOCHECK_RUN/used-<pid>.
 *
 * A real nvidia-smi asks the driver, which knows all processes. Here a process keeps, under `nanocheck run`,
 * one number for each card in a mapped file; nanocheck's nvidia-smi adds them up.
 */
#include "memory/shown.h"
#include "base/machine.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t *shown; /* NULL until the first use, and again in a child that was forked */
static bool tried;

static void forked(void) {
    shown = NULL; /* the mapping stays the parent's */
    tried = false;
}
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, forked); }

static void open_file(void) {
    const char *folder = getenv("NANOCHECK_RUN");
    char path[4096];
    tried = true;
    if (!folder || snprintf(path, sizeof path, "%s/used-%d", folder, (int)getpid()) >= (int)sizeof path)
        return;
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) return; /* a full disk, a folder that is gone: nvidia-smi shows less */
    if (!ftruncate(file, NC_CARDS_MOST * sizeof *shown)) {
        void *page = mmap(NULL, NC_CARDS_MOST * sizeof *shown, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (page != MAP_FAILED) shown = page;
    }
    close(file);
}

/* Called under the lock of the budget. */
void nc_shown_set(int slot, size_t bytes) {
    if (!tried) open_file();
    if (shown) __atomic_store_n(&shown[slot], bytes, __ATOMIC_RELAXED);
}
