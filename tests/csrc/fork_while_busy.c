/* A process forks while its other threads are inside the library: the child must be able to call in.
 *
 * fork copies a lock that another thread holds, and nobody in the child will ever open it.
 */
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, PATIENCE_S = 20 };
static bool finished;
static char key;
extern void **__cudaRegisterFatBinary(void *module);
extern void __cudaRegisterFunction(void **, const char *, char *, const char *, int, uint3 *, uint3 *, dim3 *,
                                   dim3 *, int *);
extern int nvmlInit_v2(void), nvmlDeviceGetMemoryInfo(void *, void *);

/* One call into everything that keeps a lock. */
static int call_everything(void) {
    void *device = NULL, *pinned = NULL, *managed = NULL;
    void *arguments[] = {&device};
    cudaStream_t stream;
    cudaEvent_t event;
    cudaGraph_t graph;
    CUdeviceptr range;
    CUmemGenericAllocationHandle handle;
    CUmemAllocationProp properties = {0};
    unsigned long long memory_info[3];
    int host, failed = 0;
    failed |= cudaMalloc(&device, 1000) || cudaMemset(device, 1, 1000) || cudaHostAlloc(&pinned, 1000, 0);
    failed |= cudaMallocManaged(&managed, 1000, 1) || cudaHostRegister(&host, sizeof host, 0);
    failed |= cudaStreamCreate(&stream) || cudaEventCreate(&event) || cudaEventRecord(event, stream);
    failed |= cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    failed |= cudaLaunchKernel(&key, (dim3){1, 1, 1}, (dim3){1, 1, 1}, arguments, 0, stream);
    failed |= cudaStreamEndCapture(stream, &graph) || cudaGraphDestroy(graph);
    failed |= cudaLaunchKernel(&key, (dim3){1, 1, 1}, (dim3){1, 1, 1}, arguments, 0, stream);
    failed |= cuMemAddressReserve(&range, 4 << 20, 0, 0, 0) || cuMemCreate(&handle, 2 << 20, &properties, 0);
    failed |= cuMemMap(range, 2 << 20, 0, handle, 0) || cuMemUnmap(range, 2 << 20) || cuMemRelease(handle);
    failed |= cuMemAddressFree(range, 4 << 20);
    failed |= nvmlInit_v2() || nvmlDeviceGetMemoryInfo((void *)0x20, memory_info);
    failed |= cudaEventDestroy(event) || cudaStreamDestroy(stream) || cudaHostUnregister(&host);
    failed |= cudaFree(device) || cudaFreeHost(pinned) || cudaFree(managed);
    return failed;
}

static void *keep_busy(void *unused) {
    (void)unused;
    while (!__atomic_load_n(&finished, __ATOMIC_RELAXED))
        if (call_everything()) abort();
    return NULL;
}

int main(int argc, char **argv) {
    int forks = argc > 1 ? atoi(argv[1]) : 200, hung = 0, failed = 0;
    pthread_t threads[THREADS];
    void *module = NULL;
    void **registered = __cudaRegisterFatBinary(&module);
    __cudaRegisterFunction(registered, &key, &key, "_Z6kernelPf", -1, NULL, NULL, NULL, NULL, NULL);
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, keep_busy, NULL);
    usleep(50000);
    for (int i = 0; i < forks && hung < 5; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(argc > 2 ? (unsigned)atoi(argv[2]) : PATIENCE_S);
            _exit(call_everything() || call_everything());
        }
        int status = 0;
        waitpid(child, &status, 0);
        hung += WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
        failed += !WIFSIGNALED(status) && status != 0;
        failed += WIFSIGNALED(status) && WTERMSIG(status) != SIGALRM;
    }
    __atomic_store_n(&finished, true, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    printf("%d children hung, %d failed\n", hung, failed);
    return hung || failed;
}
