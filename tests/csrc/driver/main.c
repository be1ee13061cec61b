/* Calls the virtual GPU in random legal and illegal orders from several threads.
 *
 * driver [threads] [calls] [seed]. Built together with the library's sources, so that a sanitizer sees all of them
 * (tests/virtual/test_sanitizers.py has the commands). Beside the sanitizer's silence it checks, while it runs:
 *   - a legal call succeeds, an illegal one fails;
 *   - the account: free and used bytes stay within the card, the peak and the counters only grow, and whenever
 *     all threads meet, what is free is what was free less what the threads hold, to the byte;
 *   - known memory: after each write and launch a model says which bytes are known and what they are.
 */
#include "driver.h"

enum { MEETINGS = 40, PLACES = 200 };
cudaStream_t shared_streams[4];
cudaEvent_t shared_events[8];
char *shared_memory;
size_t total_bytes, start_bytes;
extern unsigned long long nanocheck_counter(int);
extern size_t nanocheck_peak_used(void), nanocheck_process_bytes(void);
static worker workers[THREADS];
static pthread_barrier_t meeting;
static int threads = 4;
static long complaints;
static bool ended;

unsigned pick(worker *w, unsigned below) {
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 17;
    w->seed ^= w->seed << 5;
    return w->seed % below;
}

/* Each complaint once: one that every account repeats must not push the others out. */
void complain(const char *file, int line, const char *what, long got) {
    static const char *said[PLACES];
    long before = __atomic_fetch_add(&complaints, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < PLACES; i++) {
        const char *empty = NULL;
        if (__atomic_compare_exchange_n(&said[i], &empty, what, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            break;
        if (empty == what) return;
    }
    fprintf(stderr, "%s:%d: %s -> %ld (after %ld)\n", file, line, what, got, before);
}

static void account_step(worker *w) {
    size_t available = 0, total = 0;
    LEGAL(cudaMemGetInfo(&available, &total));
    HOLDS(total == total_bytes && available <= start_bytes);
    HOLDS(nanocheck_process_bytes() <= total);
    size_t peak = nanocheck_peak_used();
    HOLDS(peak <= total && peak >= w->peak);
    w->peak = peak;
    for (int i = 0; i < 8; i++) {
        unsigned long long now = nanocheck_counter(i);
        HOLDS(now >= w->seen[i]);
        w->seen[i] = now;
    }
}

/* All threads stand still: the account is exact. */
static void meet(worker *w) {
    if (pthread_barrier_wait(&meeting) == PTHREAD_BARRIER_SERIAL_THREAD) {
        size_t available = 0, total = 0, held = ranks_held(w, threads);
        for (int i = 0; i < threads; i++) held += workers[i].held;
        LEGAL(cudaMemGetInfo(&available, &total));
        HOLDS(available == start_bytes - held);
    }
    pthread_barrier_wait(&meeting); /* the ranks' first meeting takes memory */
    ranks_meet(w, threads);
    pthread_barrier_wait(&meeting);
}

static void *work(void *at) {
    worker *w = at;
    stream_start(w);
    library_start(w);
    for (int met = 0; met < MEETINGS; met++) {
        while (w->calls < w->most / MEETINGS * (met + 1)) {
            unsigned which = pick(w, 100);
            if (which < 40) memory_step(w);
            else if (which < 55) mapping_step(w);
            else if (which < 70) kernel_step(w);
            else if (which < 85) stream_step(w);
            else if (which < 94) library_step(w);
            else if (which < 95) ranks_step(w);
            else account_step(w);
        }
        meet(w);
    }
    library_end(w);
    ranks_end(w);
    stream_end(w);
    mapping_end(w);
    memory_end(w);
    return NULL;
}

/* As ProcessGroupNCCL's: asks for events that others record, and issues nothing itself. */
static void *watch(void *unused) {
    while (!__atomic_load_n(&ended, __ATOMIC_RELAXED))
        for (int i = 0; i < 8; i++) cudaEventQuery(shared_events[i]);
    return unused;
}

int main(int argc, char **argv) {
    threads = argc > 1 ? atoi(argv[1]) : 4;
    long calls = argc > 2 ? atol(argv[2]) : 100000, made = 0;
    unsigned seed = argc > 3 ? (unsigned)atoi(argv[3]) : 1;
    pthread_t running[THREADS], watchdog;
    if (threads < 1 || threads > THREADS || cudaMemGetInfo(&start_bytes, &total_bytes)) return 2;
    register_kernels();
    for (int i = 0; i < 4; i++) cudaStreamCreate(&shared_streams[i]);
    for (int i = 0; i < 8; i++) {
        cudaEventCreate(&shared_events[i]);
        cudaEventRecord(shared_events[i], NULL);
    }
    cudaMalloc((void **)&shared_memory, MIB);
    start_bytes -= 2 * MIB;
    pthread_barrier_init(&meeting, NULL, (unsigned)threads);
    ranks_start(threads);
    pthread_create(&watchdog, NULL, watch, NULL);
    for (int i = 0; i < threads; i++) {
        workers[i] =
            (worker){.seed = seed * 7919 + (unsigned)i * 104729 + 1, .number = i, .most = calls / threads};
        pthread_create(&running[i], NULL, work, &workers[i]);
    }
    for (int i = 0; i < threads; i++) pthread_join(running[i], NULL);
    __atomic_store_n(&ended, true, __ATOMIC_RELAXED);
    pthread_join(watchdog, NULL);
    ranks_stop(threads);
    for (int i = 0; i < 4; i++) cudaStreamDestroy(shared_streams[i]);
    for (int i = 0; i < 8; i++) cudaEventDestroy(shared_events[i]);
    cudaFree(shared_memory);
    size_t available = 0, total = 0;
    cudaMemGetInfo(&available, &total);
    worker *w = &workers[0];
    HOLDS(available == start_bytes + 2 * MIB);
    for (int i = 0; i < threads; i++) made += workers[i].calls;
    printf("%ld calls of %d threads, seed %u: %ld complaints\n", made, threads, seed, complaints);
    (void)w;
    return complaints != 0;
}
