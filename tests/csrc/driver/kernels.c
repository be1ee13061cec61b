/* Kernels: registered while others are launched, with parameters on the stack and on the heap. */
#include "driver.h"

extern void **__cudaRegisterFatBinary(void *module);
extern void __cudaRegisterFunction(void **, const char *, char *, const char *, int, uint3 *, uint3 *, dim3 *,
                                   dim3 *, int *);

/* Names as PyTorch's wheels have them, and a few plain ones. */
#define NATIVE "_ZN2at6native"
static const char *const NAMES[] = {
    "_Z6kernelPf",
    "_Z6kernelPKfi",
    "_Z6kernel6Params",
    "plain",
    NATIVE "29vectorized_elementwise_kernelILi4ENS0_11FillFunctorIfEESt5arrayIPcLm1EELb0EEEviT0_T1_",
    NATIVE "29vectorized_elementwise_kernelILi4ENS0_13AUnaryFunctorIffbNS0_51_GLOBAL__N__68c48bfe_18_"
           "CompareEQKernel_"
           "cu_d8008c9616CompareEqFunctorIfEEEESt5arrayIPcLm2EELb0EEEviT0_T1_",
    NATIVE "13reduce_kernelILi128ELi4ENS0_8ReduceOpIbNS0_14func_wrapper_tIbZZZNS0_14or_kernel_cudaERNS_"
           "14TensorIteratorEENKUlvE_clEvENKUlvE10_clEvEUlbbE_EEjbLi4ELi4EEEEEvT1_",
    NATIVE
    "50_GLOBAL__N__637ba612_17_ForeachUnaryOp_cu_77fe623d25multi_tensor_apply_kernelINS1_"
    "18TensorListMetadataILi2EEENS1_14UnaryOpFunctorIfLi2ELi1ELi1EEEJNS0_10ReciprocalIfEEEEEvT_T0_DpT1_",
    NATIVE "18elementwise_kernelILi128ELi4EZNS0_15gpu_kernel_implINS0_10AbsFunctorIbEEEEvRNS_"
           "18TensorIteratorBaseERKT_"
           "EUliE_EEviT1_",
    NATIVE "12compute_modeIaLj128EEEvPKT_NS_4cuda6detail10TensorInfoIS2_jEENS7_IljEEll",
};
enum { POINTER, CONSTANT, PARAMS, PLAIN, FILL, COMPARE, REDUCE, LIST, STRIDED, INFO, KINDS, NEW = 4096 };
static char keys[KINDS], more[NEW]; /* addresses that stand for host functions */
static void **module;

static void add(const char *key, const char *name) {
    __cudaRegisterFunction(module, key, NULL, name, -1, NULL, NULL, NULL, NULL, NULL);
}
void register_kernels(void) {
    static void *nothing;
    module = __cudaRegisterFatBinary(&nothing);
    for (int i = 0; i < KINDS; i++) add(&keys[i], NAMES[i]);
}

static cudaError_t launch(const void *key, void **arguments, cudaStream_t stream) {
    return cudaLaunchKernel(key, (dim3){1, 1, 1}, (dim3){32, 1, 1}, arguments, 0, stream);
}

/* A structure that holds an address somewhere, among zeros and numbers. */
static void fill_structure(worker *w, char *structure, size_t bytes, const char *address, size_t at) {
    for (size_t i = 0; i < bytes; i++) structure[i] = (char)pick(w, 3);
    memcpy(structure + at, &address, sizeof address);
}

static void lose_by(worker *w, block *b, unsigned kind, size_t offset, bool heap, cudaStream_t stream) {
    char stack[4096], *structure = heap ? malloc(sizeof stack) : stack, *at = b->at + offset;
    int number = 1;
    fill_structure(w, structure, sizeof stack, at,
                   kind == PARAMS ? pick(w, 31) * 8
                   : kind == LIST ? pick(w, 250) * 8
                                  : 0);
    void *on_stack[] = {structure, &number, structure + 2048, &number, &number, &number};
    void **arguments = on_stack;
    if (heap) arguments = memcpy(malloc(sizeof on_stack), on_stack, sizeof on_stack);
    switch (kind) {
    case STRIDED: /* (int, closure): an address of its own place in the closure */
        arguments[0] = &number;
        arguments[1] = structure;
        break;
    case INFO:
        arguments[1] = structure;
        break; /* (const*, info of a const, info): the second's address is written */
    default: break;
    }
    LEGAL(launch(&keys[kind], arguments, stream));
    if (heap) free(arguments);
    if (heap) free(structure);
    model_lose(b, offset);
}

static void run_fill(worker *w, block *b) {
    unsigned char bytes[MODEL];
    int count = 1 + (int)pick(w, 256);
    float value = (float)pick(w, 100);
    char *to = b->at;
    void *arguments[] = {&count, &value, &to};
    LEGAL(launch(&keys[FILL], arguments, shared_streams[0]));
    for (int i = 0; i < count; i++) memcpy(bytes + 4 * i, &value, sizeof value);
    model_set(b, 0, 4 * (size_t)count, bytes);
}

/* One float of the block against a number; the answer goes to the block's second half, which was compared with
 * itself: known, as the program wrote what was compared. */
static void run_compare(worker *w, block *b) {
    struct {
        int operation;
        float scalar;
    } functor = {(int)pick(w, 2), (float)pick(w, 3)};
    int count = 1 + (int)pick(w, 2);
    char *data[] = {b->at + 512, b->at};
    void *arguments[] = {&count, &functor, data};
    LEGAL(launch(&keys[COMPARE], arguments, shared_streams[0]));
    model_lose(b, 512);
    LEGAL(cudaMemset(b->at + 512, 7, 64)); /* what was answered is written over: the model knows no answers */
    unsigned char sevens[64];
    memset(sevens, 7, sizeof sevens);
    model_set(b, 512, sizeof sevens, sevens);
}

static void run_driver(worker *w, block *b, size_t offset) {
    char *at = b->at + offset;
    int number = 5;
    size_t size = 24;
    void *packed[] = {NULL, at, NULL}, *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, packed,
                                                   CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
    void *arguments[] = {&number, &at, NULL},
         **heap = memcpy(malloc(sizeof arguments), arguments, sizeof arguments);
    CUlaunchConfig config = {.gridDimX = 1, .blockDimX = 1};
    switch (pick(w, 4)) {
    case 0: LEGAL(cuLaunchKernel((CUfunction)w, 1, 1, 1, 1, 1, 1, 0, NULL, arguments, NULL)); break;
    case 1: LEGAL(cuLaunchKernel((CUfunction)w, 1, 1, 1, 1, 1, 1, 0, NULL, heap, NULL)); break;
    case 2: LEGAL(cuLaunchKernel((CUfunction)w, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra)); break;
    case 3: LEGAL(cuLaunchKernelEx(&config, (CUfunction)w, heap, NULL)); break;
    }
    free(heap);
    model_lose(b, offset);
}

void kernel_step(worker *w) {
    block *b = some_block(w);
    size_t offset = pick(w, 3) ? 0 : pick(w, MODEL / 8) * 8;
    unsigned which = pick(w, 12);
    if (!b || b->bytes < MODEL) return;
    if (which < 6)
        lose_by(w, b,
                which < 1   ? POINTER
                : which < 2 ? PARAMS
                : which < 3 ? PLAIN
                : which < 4 ? LIST
                : which < 5 ? STRIDED
                            : POINTER,
                offset, pick(w, 2), shared_streams[pick(w, 4)]);
    else if (which < 7) run_fill(w, b);
    else if (which < 8) run_compare(w, b);
    else if (which < 10) run_driver(w, b, offset);
    else if (which < 11) { /* reads only: what is known stays so */ char *at = b->at;
        int n = 1;
        void *arguments[] = {&at, &n};
        LEGAL(launch(&keys[CONSTANT], arguments, NULL));
    } else {
        struct cudaFuncAttributes attributes;
        add(&more[pick(w, NEW)], NAMES[pick(w, KINDS)]);
        LEGAL(cudaFuncGetAttributes(&attributes, &keys[pick(w, KINDS)]));
        int blocks;
        LEGAL(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, &keys[0], 1 + (int)pick(w, 1024), 0));
        ILLEGAL(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, &keys[0], 0, 0));
    }
    model_check(w, b);
}
