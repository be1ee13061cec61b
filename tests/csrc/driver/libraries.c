/* cuBLAS, cuSOLVER, cuSPARSE, cuFFT, cuDNN, NVML, look-ups by name, devices. */
#include "driver.h"

extern int cublasCreate_v2(void **), cublasDestroy_v2(void *), cublasSetStream_v2(void *, cudaStream_t);
extern int cublasSgemm_v2(void *, int, int, int, int, int, void *, void *, int, void *, int, void *, void *,
                          int);
extern int cudnnBackendCreateDescriptor(int, void **), cudnnBackendDestroyDescriptor(void *);
extern int cudnnBackendSetAttribute(void *, int, int, int64_t, const void *);
extern int cudnnBackendGetAttribute(void *, int, int, int64_t, int64_t *, void *);
extern int cusolverDnCreate(void **), cusolverDnDestroy(void *), cusolverDnSetStream(void *, cudaStream_t);
extern int cusolverDnSpotrf_bufferSize(void *, int, int, void *, int, int *);
extern int cusolverDnSpotrf(void *, int, int, void *, int, void *, int, int *);
extern int cufftCreate(int *), cufftDestroy(int), cufftSetStream(int, cudaStream_t),
    cufftXtExec(int, void *, void *, int);
extern int cufftXtMakePlanMany(int, int, long long *, long long *, long long, long long, int, long long *,
                               long long, long long, int, long long, size_t *, int);
extern int cusparseCreate(void **), cusparseDestroy(void *), cusparseDestroySpMat(void *),
    cusparseDestroyDnVec(void *), cusparseCreateDnVec(void **, int64_t, void *, int);
extern int cusparseCreateCsr(void **, int64_t, int64_t, int64_t, void *, void *, void *, int, int, int, int);
extern int cusparseSpMV(void *, int, void *, void *, void *, void *, void *, int, int, void *);
extern int nvmlInit_v2(void), nvmlShutdown(void), nvmlDeviceGetMemoryInfo(void *, void *);
extern int nvmlDeviceGetComputeRunningProcesses(void *, unsigned *, void *),
    nvmlDeviceGetName(void *, char *, unsigned);

static void blas(worker *w) {
    unsigned i = pick(w, 2);
    if (!w->blas[i]) {
        LEGAL(cublasCreate_v2(&w->blas[i]));
        return;
    }
    block *b = some_block(w);
    float one = 1;
    LEGAL(cublasSetStream_v2(w->blas[i], shared_streams[pick(w, 4)]));
    if (b && b->bytes >= MODEL) {
        LEGAL(cublasSgemm_v2(w->blas[i], 0, 0, 1, 1, 1, &one, b->at, 1, b->at, 1, &one, b->at, 1));
        model_lose(b, 0);
        model_check(w, b);
    }
    ILLEGAL(cublasSgemm_v2(w->stale_memory, 0, 0, 1, 1, 1, &one, NULL, 1, NULL, 1, &one, NULL, 1));
    if (pick(w, 3)) return;
    void *handle = w->blas[i];
    LEGAL(cublasDestroy_v2(handle));
    ILLEGAL(cublasDestroy_v2(handle));
    ILLEGAL(cublasSetStream_v2(handle, NULL));
    w->blas[i] = NULL;
}

static void dnn(worker *w) { /* a descriptor keeps what was set, the newest first */
    int64_t values[3] = {1, 2, 3}, seen[3] = {0}, count = 0;
    if (!w->dnn) LEGAL(cudnnBackendCreateDescriptor(1, &w->dnn));
    values[0] = pick(w, 100);
    LEGAL(cudnnBackendSetAttribute(w->dnn, 1, 3 /* INT64 */, 3, values));
    LEGAL(cudnnBackendGetAttribute(w->dnn, 1, 3, 2, &count, seen));
    HOLDS(count == 3 && seen[0] == values[0] && seen[1] == 2 && seen[2] == 0);
    if (pick(w, 10)) return;
    void *inner, *dnn = w->dnn; /* one that was set in another outlives its end */
    LEGAL(cudnnBackendCreateDescriptor(1, &inner));
    LEGAL(cudnnBackendSetAttribute(inner, 2, 3, 3, values));
    LEGAL(cudnnBackendSetAttribute(dnn, 3, 15 /* BACKEND_DESCRIPTOR */, 1, &inner));
    LEGAL(cudnnBackendDestroyDescriptor(inner));
    ILLEGAL(cudnnBackendDestroyDescriptor(inner));
    LEGAL(cudnnBackendDestroyDescriptor(dnn));
    ILLEGAL(cudnnBackendDestroyDescriptor(dnn));
    ILLEGAL(cudnnBackendSetAttribute(dnn, 1, 3, 3, values));
    w->dnn = NULL;
}

/* Each asks how large its workspace is, works, and finds its handle invalid after its end. */
static void factor(worker *w) {
    void *handle;
    int room = -1, info[2] = {7, 7};
    ILLEGAL(cusolverDnCreate(NULL));
    LEGAL(cusolverDnCreate(&handle));
    LEGAL(cusolverDnSetStream(handle, shared_streams[pick(w, 4)]));
    LEGAL(cusolverDnSpotrf_bufferSize(handle, 0, 8, NULL, 8, &room));
    HOLDS(room >= 8);
    block *b = some_block(w);
    if (b && b->bytes >= MODEL) {
        LEGAL(cusolverDnSpotrf(handle, 0, 8, NULL, 8, NULL, room, (int *)b->at));
        LEGAL(cudaMemcpy(info, b->at, sizeof *info, cudaMemcpyDeviceToHost));
        HOLDS(info[0] == 0 && info[1] == 7);
        unsigned char written[512] = {0}; /* anew: a report of success stands against doubts */
        LEGAL(cudaMemset(b->at, 0, sizeof written));
        model_set(b, 0, sizeof written, written);
    }
    LEGAL(cusolverDnDestroy(handle));
    ILLEGAL(cusolverDnDestroy(handle));
    ILLEGAL(cusolverDnSpotrf(handle, 0, 8, NULL, 8, NULL, room, NULL));
}
static void transform(worker *w) {
    int plan = 0;
    long long n = 1 << pick(w, 10);
    size_t work = 0;
    LEGAL(cufftCreate(&plan));
    LEGAL(cufftSetStream(plan, shared_streams[pick(w, 4)]));
    LEGAL(cufftXtMakePlanMany(plan, 1, &n, NULL, 1, n, 4, NULL, 1, n, 4, 3, &work, 4 /* CUDA_C_32F */));
    HOLDS(work == 3 * 8 * (size_t)n);
    n = 0;
    ILLEGAL(cufftXtMakePlanMany(plan, 1, &n, NULL, 1, n, 4, NULL, 1, n, 4, 3, &work, 4));
    LEGAL(cufftDestroy(plan));
    ILLEGAL(cufftDestroy(plan));
    ILLEGAL(cufftXtExec(plan, NULL, NULL, 1));
    ILLEGAL(cufftDestroy((int)pick(w, 1 << 30) - (1 << 29)));
}
static void sparse(worker *w) {
    void *handle, *matrix, *vector;
    LEGAL(cusparseCreate(&handle));
    LEGAL(cusparseCreateCsr(&matrix, 4, 4, 2, NULL, NULL, NULL, 2, 2, 0, 0));
    LEGAL(cusparseCreateDnVec(&vector, 4, NULL, 0));
    LEGAL(cusparseSpMV(handle, 0, NULL, matrix, vector, NULL, vector, 0, 0, NULL));
    LEGAL(cusparseDestroySpMat(matrix));
    ILLEGAL(cusparseDestroySpMat(matrix));
    LEGAL(cusparseDestroyDnVec(vector));
    ILLEGAL(cusparseSpMV(handle, 0, NULL, matrix, vector, NULL, vector, 0, 0, NULL));
    LEGAL(cusparseDestroy(handle));
    ILLEGAL(cusparseDestroy(handle));
}

static void nvml(worker *w) { /* each thread has at least one nvmlInit of its own */
    struct {
        unsigned pid;
        unsigned long long used;
    } list[2] = {{0, 0}, {77, 77}};
    unsigned long long memory[3];
    unsigned room = 2;
    char name[8];
    LEGAL(nvmlInit_v2());
    LEGAL(nvmlDeviceGetMemoryInfo((void *)0x20, memory));
    HOLDS(memory[0] == total_bytes && memory[1] + memory[2] == memory[0]);
    LEGAL(nvmlDeviceGetComputeRunningProcesses((void *)0x20, &room, list));
    HOLDS(room == 1 && list[0].used <= total_bytes && list[1].pid == 77 && list[1].used == 77);
    LEGAL(nvmlDeviceGetName((void *)0x20, name, sizeof name));
    ILLEGAL(nvmlDeviceGetName((void *)0x20, name, 0));
    room = 0;
    ILLEGAL(nvmlDeviceGetComputeRunningProcesses((void *)0x20, &room, NULL));
    LEGAL(nvmlShutdown());
}

static void look_up(worker *w) {
    static const char *const ANSWERED[] = {"cuMemMap", "cuCtxGetCurrent", "cuMemGetAddressRange",
                                           "cuLaunchKernel"};
    void *function = NULL;
    CUdriverProcAddressQueryResult found;
    LEGAL(cuGetProcAddress_v2(ANSWERED[pick(w, 4)], &function, CUDA_VERSION, 0, &found));
    HOLDS(function != NULL);
    ILLEGAL(cuGetProcAddress_v2("cuNoSuchFunction", &function, CUDA_VERSION, 0, &found));
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* still answered: programs still call it */
static void device(worker *w) {
    struct cudaDeviceProp properties;
    int value, other;
    char name[4];
    LEGAL(cudaGetDeviceProperties(&properties, 0));
    LEGAL(cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMajor, 0));
    LEGAL(cuDeviceComputeCapability(&value, &other, 0));
    HOLDS(value == properties.major && other == properties.minor);
    ILLEGAL(cudaGetDeviceProperties(&properties, 1));
    ILLEGAL(cuDeviceGetName(name, 0, 0));
    LEGAL(cuDeviceGetName(name, sizeof name, 0));
    HOLDS(name[3] == 0);
}

void library_start(worker *w) { LEGAL(nvmlInit_v2()); }

void library_step(worker *w) {
    switch (pick(w, 9)) {
    case 0: dnn(w); break;
    case 1: nvml(w); break;
    case 2: look_up(w); break;
    case 3: device(w); break;
    case 4: factor(w); break;
    case 5: transform(w); break;
    case 6: sparse(w); break;
    default: blas(w);
    }
}

void library_end(worker *w) {
    for (int i = 0; i < 2; i++)
        if (w->blas[i]) LEGAL(cublasDestroy_v2(w->blas[i]));
    if (w->dnn) LEGAL(cudnnBackendDestroyDescriptor(w->dnn));
    LEGAL(nvmlShutdown());
}
