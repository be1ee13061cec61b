/* Communicators that were used, by card and size, and the buffers of their connections. */
#include "answers/nccl_used.h"
#include "base/card.h"
#include "base/machine.h"
#include "memory/budget.h"
#include <stdlib.h>
#include <string.h>

enum { SIZES = 4097 }; /* larger ones count with the last */
static unsigned now[NC_CARDS_MOST][2][SIZES], most[NC_CARDS_MOST][2][SIZES];
static struct {
    size_t asked, free;
    unsigned times;
} refused[NC_CARDS_MOST]; /* the last one of each card */

static int size_of(const struct ncclComm *comm) { return comm->ranks < SIZES ? comm->ranks : SIZES - 1; }

/* What the user set, if it is a number that NCCL takes. */
static size_t set(const char *name, size_t otherwise) {
    const char *text = getenv(name);
    size_t found = 0, largest = (size_t)1 << 40;
    for (; text && *text; text++) {
        if (*text < '0' || *text > '9' || found >= largest) return otherwise;
        found = 10 * found + (size_t)(*text - '0');
    }
    return found && found < largest ? found : otherwise;
}
static bool is(const char *name, const char *value) {
    const char *text = getenv(name);
    return text && !strcmp(text, value);
}

/* For each channel of a ring: a buffer of each protocol where something is received, and a piece where it is sent. */
static size_t connections(int slot) {
    const size_t piece = (size_t)2 << 20;
    size_t channels = nc_card_of(slot) ? (size_t)nc_card_of(slot)->nccl_channels : 0,
           caps[] = {set("NCCL_MAX_NCHANNELS", 64), set("NCCL_MAX_CTAS", 64)},
           buffers = set("NCCL_LL_BUFFSIZE", (size_t)512 << 10) + set("NCCL_LL128_BUFFSIZE", 4915200)
                     + set("NCCL_BUFFSIZE", (size_t)4 << 20);
    for (int i = 0; i < 2; i++)
        if (caps[i] < channels) channels = caps[i];
    if (is("NCCL_P2P_DISABLE", "1")) return 0; /* they lie in the host's memory */
    return channels * ((buffers + piece - 1) / piece * piece + piece);
}

static ncclResult_t connect(ncclComm_t comm, int slot) {
    size_t bytes = connections(slot);
    if (!bytes) return ncclSuccess;
    if (nc_budget_take(slot, bytes)) {
        __atomic_store_n(&comm->taken, bytes, __ATOMIC_RELAXED);
        return ncclSuccess;
    }
    size_t left = nc_budget_left(slot);
    __atomic_store_n(&refused[slot].asked, bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&refused[slot].free, left, __ATOMIC_RELAXED);
    __atomic_add_fetch(&refused[slot].times, 1, __ATOMIC_RELAXED);
    return nc_nccl_fail(ncclUnhandledCudaError,
                        "Cuda failure 2 'out of memory': the connections of a communicator of %d ranks take "
                        "%zu bytes of card %d, %zu are free",
                        comm->ranks, bytes, slot, left);
}

ncclResult_t nc_nccl_used(ncclComm_t comm, bool message) {
    if (comm->ranks < 2 || __atomic_exchange_n(&comm->used[message], true, __ATOMIC_RELAXED))
        return ncclSuccess;
    int slot = nc_machine_slot(comm->device), size = size_of(comm);
    ncclResult_t result = message ? ncclSuccess : connect(comm, slot); /* messages may need none */
    if (result != ncclSuccess) {
        __atomic_store_n(&comm->used[message], false, __ATOMIC_RELAXED);
        return result;
    }
    unsigned at_once = __atomic_add_fetch(&now[slot][message][size], 1, __ATOMIC_RELAXED),
             *highest = &most[slot][message][size], was = __atomic_load_n(highest, __ATOMIC_RELAXED);
    while (
        was < at_once
        && !__atomic_compare_exchange_n(highest, &was, at_once, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return ncclSuccess;
}
ncclResult_t nc_nccl_made(ncclComm_t comm) {
    bool at_once = NCCL_VERSION_CODE < NCCL_VERSION(2, 22, 0) || is("NCCL_RUNTIME_CONNECT", "0");
    return at_once ? nc_nccl_used(comm, false) : ncclSuccess;
}
void nc_nccl_gone(ncclComm_t comm) {
    int slot = nc_machine_slot(comm->device);
    size_t bytes = __atomic_exchange_n(&comm->taken, 0, __ATOMIC_RELAXED);
    if (bytes) nc_budget_give(slot, bytes);
    for (int kind = 0; kind < 2; kind++)
        if (__atomic_exchange_n(&comm->used[kind], false, __ATOMIC_RELAXED))
            __atomic_sub_fetch(&now[slot][kind][size_of(comm)], 1, __ATOMIC_RELAXED);
}

static bool has(int slot) { return slot >= 0 && slot < NC_CARDS_MOST; }
/* Of a card, the next size above `ranks` that was used, and the most at once, of collectives and of messages; 0: no
 * more. */
int nanocheck_nccl_communicators(int slot, int ranks, unsigned *collective, unsigned *messages) {
    for (int size = ranks < 0 ? 0 : ranks + 1; has(slot) && size < SIZES; size++) {
        *collective = __atomic_load_n(&most[slot][0][size], __ATOMIC_RELAXED);
        *messages = __atomic_load_n(&most[slot][1][size], __ATOMIC_RELAXED);
        if (*collective || *messages) return size;
    }
    return 0;
}
/* How often a card had no room for connections; bytes of the last time, and what was free then. */
unsigned nanocheck_nccl_refused(int slot, size_t *asked, size_t *left) {
    if (!has(slot)) return 0;
    *asked = __atomic_load_n(&refused[slot].asked, __ATOMIC_RELAXED);
    *left = __atomic_load_n(&refused[slot].free, __ATOMIC_RELAXED);
    return __atomic_load_n(&refused[slot].times, __ATOMIC_RELAXED);
}
