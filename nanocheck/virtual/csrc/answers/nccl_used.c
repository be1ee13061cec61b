/* Communicators that were used, by size. */
#include "answers/nccl_used.h"

enum { SIZES = 4097 }; /* larger ones count with the last */
static unsigned now[2][SIZES], most[2][SIZES];

static int slot(const struct ncclComm *comm) { return comm->ranks < SIZES ? comm->ranks : SIZES - 1; }

static void used(ncclComm_t comm, int kind) {
    if (__atomic_exchange_n(&comm->used[kind], true, __ATOMIC_RELAXED)) return;
    unsigned at_once = __atomic_add_fetch(&now[kind][slot(comm)], 1, __ATOMIC_RELAXED), *highest;
    highest = &most[kind][slot(comm)];
    unsigned was = __atomic_load_n(highest, __ATOMIC_RELAXED);
    while (
        was < at_once
        && !__atomic_compare_exchange_n(highest, &was, at_once, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}
void nc_nccl_used(ncclComm_t comm, bool message) {
    if (comm->ranks < 2) return;
    used(comm, message);
}
void nc_nccl_gone(ncclComm_t comm) {
    for (int kind = 0; kind < 2; kind++)
        if (__atomic_exchange_n(&comm->used[kind], false, __ATOMIC_RELAXED))
            __atomic_sub_fetch(&now[kind][slot(comm)], 1, __ATOMIC_RELAXED);
}

/* The next size above `ranks` that was used, and the most at once, of collectives and of messages; 0: no more. */
int nanocheck_nccl_communicators(int ranks, unsigned *collective, unsigned *messages) {
    for (int size = ranks < 0 ? 0 : ranks + 1; size < SIZES; size++) {
        *collective = __atomic_load_n(&most[0][size], __ATOMIC_RELAXED);
        *messages = __atomic_load_n(&most[1][size], __ATOMIC_RELAXED);
        if (*collective || *messages) return size;
    }
    return 0;
}
