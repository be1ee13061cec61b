/* Communicators of several ranks: within one thread by groups, and between the threads when they meet. */
#include "driver.h"

extern int ncclCommInitAll(void **, int, const int *), ncclCommDestroy(void *), ncclGroupStart(void),
    ncclGroupEnd(void);
extern int ncclAllReduce(const void *, void *, size_t, int, int, void *, cudaStream_t);
extern int ncclAllGather(const void *, void *, size_t, int, void *, cudaStream_t);
extern int ncclBroadcast(const void *, void *, size_t, int, int, void *, cudaStream_t);
extern int ncclSend(const void *, size_t, int, int, void *, cudaStream_t),
    ncclRecv(void *, size_t, int, int, void *, cudaStream_t);
extern int nanocheck_known(const void *, const void *, size_t);
enum { INT32 = 2, SUM = 0, RANKS = 3, NUMBERS = 300 };
/* What a communicator holds of the card from its first call on: the card has one channel. */
static const size_t CONNECTION = 12 * MIB;
static void *threads_comms[THREADS];

void ranks_start(int threads) {
    if (ncclCommInitAll(threads_comms, threads, NULL)) abort();
}
void ranks_stop(int threads) {
    for (int i = 0; i < threads; i++)
        if (ncclCommDestroy(threads_comms[i])) abort();
}

size_t ranks_held(const worker *w, int threads) {
    return threads > 1 && w->met ? (size_t)threads * CONNECTION : 0;
}

/* All threads call it at about the same time, each as one rank: they wait for each other. */
void ranks_meet(worker *w, int threads) {
    int given[NUMBERS] = {0}, seen[NUMBERS] = {0}, all[THREADS] = {0};
    int n = 1 + w->met++ * 7 % NUMBERS, root = w->met % threads;
    void *comm = threads_comms[w->number];
    for (int i = 0; i < n; i++) given[i] = w->number * 1000 + i;
    LEGAL(ncclAllReduce(given, seen, (size_t)n, INT32, SUM, comm, NULL));
    for (int i = 0; i < n; i++) HOLDS(seen[i] == threads * (threads - 1) / 2 * 1000 + threads * i);
    LEGAL(ncclAllGather(given, all, 1, INT32, comm, NULL));
    for (int i = 0; i < threads; i++) HOLDS(all[i] == i * 1000);
    LEGAL(ncclBroadcast(given, seen, (size_t)n, INT32, root, comm, NULL));
    for (int i = 0; i < n; i++) HOLDS(seen[i] == root * 1000 + i);
    LEGAL(ncclGroupStart()); /* a ring */
    LEGAL(ncclRecv(seen, (size_t)n, INT32, (w->number + threads - 1) % threads, comm, NULL));
    LEGAL(ncclSend(given, (size_t)n, INT32, (w->number + 1) % threads, comm, NULL));
    LEGAL(ncclGroupEnd());
    HOLDS(seen[n - 1] == (w->number + threads - 1) % threads * 1000 + n - 1);
}

/* One after the other: all of them are used in the same step. */
static void make(worker *w) {
    LEGAL(ncclCommInitAll(w->ranks, RANKS, NULL));
    w->used = false;
}

void ranks_step(worker *w) {
    int values[RANKS] = {0}, sums[RANKS] = {0}, n = (int)pick(w, 1000);
    block *b = some_block(w);
    if (!w->ranks[0]) make(w);
    if (!w->used) w->held += RANKS * CONNECTION;
    w->used = true;
    LEGAL(ncclGroupStart());
    for (int i = 0; i < RANKS; i++) {
        values[i] = n + i;
        LEGAL(ncclAllReduce(&values[i], &sums[i], 1, INT32, SUM, w->ranks[i], NULL));
    }
    if (b && b->bytes >= MODEL) LEGAL(ncclSend(values, 4, 1, 1, w->ranks[0], NULL));
    if (b && b->bytes >= MODEL) LEGAL(ncclRecv(b->at, 4, 1, 0, w->ranks[1], NULL));
    LEGAL(ncclGroupEnd());
    for (int i = 0; i < RANKS; i++) HOLDS(sums[i] == 3 * n + 3);
    if (b && b->bytes >= MODEL) {
        HOLDS(nanocheck_known(b->at, b->at, 4) == 1);
        model_set(b, 0, 4, (const unsigned char *)values);
        model_check(w, b);
    }
    ILLEGAL(ncclBroadcast(values, sums, 1, INT32, RANKS, w->ranks[0], NULL));
    if (pick(w, 4)) return;
    ranks_end(w);
    make(w);
}

void ranks_end(worker *w) {
    if (!w->ranks[0]) return;
    if (w->used) w->held -= RANKS * CONNECTION;
    for (int i = 0; i < RANKS; i++) {
        LEGAL(ncclCommDestroy(w->ranks[i]));
        ILLEGAL(ncclCommDestroy(w->ranks[i]));
        ILLEGAL(ncclAllReduce(NULL, NULL, 0, INT32, SUM, w->ranks[i], NULL));
    }
    w->ranks[0] = NULL;
}
