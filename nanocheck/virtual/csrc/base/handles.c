/* Opaque handles: each a number that was never given out before. */
#include "base/handles.h"

void *nc_handle(void) {
    static uintptr_t last = 0x10000;
    return (void *)__atomic_add_fetch(&last, 64, __ATOMIC_RELAXED);
}
