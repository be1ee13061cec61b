/* Preloaded: the machine's pages have PAGE bytes, as the kernel would treat them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static uintptr_t down(uintptr_t at) { return at / PAGE * PAGE; }
static size_t up(size_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

long sysconf(int name) {
    static long (*real)(int);
    if (name == _SC_PAGESIZE) return PAGE;
    if (!real) real = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
    return real(name);
}

void *mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset) {
    size_t more = at || file >= 0 ? 0 : PAGE;
    long found = syscall(SYS_mmap, at, bytes + more, protection, flags, file, offset);
    return found == -1 ? MAP_FAILED : (void *)(more ? down((uintptr_t)found + more - 1) : (uintptr_t)found);
}

int madvise(void *at, size_t bytes, int advice) {
    if ((uintptr_t)at % PAGE) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_madvise, at, up(bytes), advice);
}

int mprotect(void *at, size_t bytes, int protection) {
    if ((uintptr_t)at % PAGE) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_mprotect, at, up(bytes), protection);
}
