/* Two threads use one unit of `known` at once: what one of them loses must not come back.
 *
 * One thread writes the first bytes of 512 again and again. The other writes those behind them, says that a
 * kernel overwrote it, and asks: known then would be what nobody wrote.
 */
#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

extern int nanocheck_known(const void *storage, const void *at, size_t bytes);
extern void nanocheck_wrote(const void *at);

static char *memory;
static bool finished;

static void *write_first_bytes(void *unused) {
    (void)unused;
    while (!__atomic_load_n(&finished, __ATOMIC_RELAXED)) cudaMemset(memory, 1, 8);
    return NULL;
}

int main(int argc, char **argv) {
    long rounds = argc > 1 ? atol(argv[1]) : 2000000, came_back = 0;
    pthread_t thread;
    if (cudaMalloc((void **)&memory, 512) || pthread_create(&thread, NULL, write_first_bytes, NULL)) return 2;
    while (nanocheck_known(memory, memory, 8) != 1) {
    }
    for (long i = 0; i < rounds; i++) {
        cudaMemset(memory + 8, 2, 8);
        nanocheck_wrote(memory + 8);
        came_back += nanocheck_known(memory, memory + 8, 4) != 0;
    }
    __atomic_store_n(&finished, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    printf("%ld rounds, %ld times known although a kernel wrote it\n", rounds, came_back);
    return came_back != 0;
}
