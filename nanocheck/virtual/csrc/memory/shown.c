/* What this process holds of the card, where other processes can read it: $NANOCHECK_RUN/used-<pid>.
 *
 * A real nvidia-smi asks the driver, which knows all processes. Here each has a card of its own, so
 * under `nanocheck run` it keeps one number in a mapped file; nanocheck's nvidia-smi adds them up.
 */
#include "memory/shown.h"
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
    if (!ftruncate(file, sizeof *shown)) {
        void *page = mmap(NULL, sizeof *shown, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (page != MAP_FAILED) shown = page;
    }
    close(file);
}

/* Called under the lock of the budget. */
void nc_shown_set(size_t bytes) {
    if (!tried) open_file();
    if (shown) __atomic_store_n(shown, bytes, __ATOMIC_RELAXED);
}
