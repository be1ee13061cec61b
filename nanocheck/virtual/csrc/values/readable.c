/* Memory of the program that is read without knowing where it ends: what a launch's parameters point to.
 *
 * A compiler's launcher keeps parameters on its stack, all of it readable up to the thread's first frame. Others
 * (ctypes, numba, a launcher that keeps them in a vector) hand over memory from anywhere, and a read too far would
 * crash the program. The kernel copies that: it stops where nothing is mapped, page by page. Where it is not
 * allowed to (a seccomp filter), nobody can say what was handed over, and all that was known is unknown.
 */
#include "values/readable.h"
#include "values/known.h"
#include <errno.h>
#include <pthread.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096, PIECES = 8 };

static uintptr_t stack_end(void) { /* of the calling thread; 0: unknown */
    static __thread uintptr_t end;
    static __thread bool asked;
    pthread_attr_t attributes;
    void *lowest;
    size_t bytes;
    if (asked) return end;
    asked = true;
    if (pthread_getattr_np(pthread_self(), &attributes)) return 0;
    if (!pthread_attr_getstack(&attributes, &lowest, &bytes)) end = (uintptr_t)lowest + bytes;
    pthread_attr_destroy(&attributes);
    return end;
}

static size_t copy_readable(char *to, uintptr_t from, size_t bytes) {
    struct iovec local = {to, bytes}, remote[PIECES];
    unsigned long pieces = 0;
    for (uintptr_t at = from, end = from + bytes; at < end && pieces < PIECES; pieces++) {
        uintptr_t next = (at | (PAGE - 1)) + 1;
        remote[pieces] = (struct iovec){(void *)at, (next < end ? next : end) - at};
        at = next;
    }
    ssize_t copied = process_vm_readv(getpid(), &local, 1, remote, pieces, 0);
    if (copied < 0 && errno != EFAULT) nc_known_lose_all();
    return copied < 0 ? 0 : (size_t)copied;
}

nc_bytes nc_readable(const void *from, size_t bytes, char *room) {
    uintptr_t at = (uintptr_t)from, mine = (uintptr_t)&at, end = stack_end();
    if (at > mine && at < end) return (nc_bytes){from, bytes < end - at ? bytes : end - at};
    return (nc_bytes){room, copy_readable(room, at, bytes)};
}
