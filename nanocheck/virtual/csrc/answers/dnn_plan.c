/* Which engines a graph is offered, and what their plans need beside their tensors.
 *
 * The workspaces of cuDNN's plans are not published. Attention's count as nothing. A convolution is offered two engines
 * in the order of the heuristics. The first is taken to run on tensor cores, which want channels together: its
 * workspace is a copy of each operand that has them apart (NCHW), once, and nothing for the rest. The second needs
 * none, as the implicit matrix product (cuDNN on CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM). What is done with them is
 * PyTorch's own policy: the first whose workspace the allocator gives; with cudnn.benchmark those no larger than its
 * largest free block. Transforms (Winograd, FFT) may need more than this guess.
 */
#include "answers/dnn_plan.h"
#include "base/guesses.h"
#include <string.h>

typedef struct {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t x, w, y;
} operands;
static const operands CONVOLUTIONS[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY},
};

/* The convolution of a graph and which kind it is; NULL: it has none. */
static cudnnBackendDescriptor_t convolution_in(cudnnBackendDescriptor_t graph, const operands **kind) {
    int64_t count;
    const char *list = nc_dnn_value(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, &count);
    for (int64_t i = 0; i < count; i++) {
        cudnnBackendDescriptor_t operation;
        memcpy(&operation, list + (size_t)i * sizeof operation, sizeof operation);
        if (!nc_object_is(operation, NC_GRAPH_DESCRIPTOR)) continue;
        for (size_t k = 0; k < sizeof CONVOLUTIONS / sizeof *CONVOLUTIONS; k++) {
            if (((nc_dnn_descriptor *)operation)->type != CONVOLUTIONS[k].type) continue;
            *kind = &CONVOLUTIONS[k];
            return operation;
        }
    }
    return NULL;
}

static int64_t number(const char *list, int64_t index) {
    int64_t value;
    memcpy(&value, list + (size_t)index * sizeof value, sizeof value);
    return value;
}

/* Bytes of a tensor whose channels do not stand together; 0: they do, or it has no layout. */
static size_t planar_bytes(cudnnBackendDescriptor_t tensor, size_t width) {
    int64_t count, strides;
    const char *sizes = nc_dnn_value(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, &count);
    const char *steps = nc_dnn_value(tensor, CUDNN_ATTR_TENSOR_STRIDES, &strides);
    if (!sizes || !steps || count < 3 || strides != count) return 0;
    if (number(sizes, 1) < 2 || number(steps, 1) == 1) return 0;
    size_t bytes = width;
    for (int64_t i = 0; i < count; i++) bytes *= number(sizes, i) > 0 ? (size_t)number(sizes, i) : 0;
    return bytes;
}

static bool
on_tensor_cores(cudnnDataType_t type) { /* float as TF32, where PyTorch allows it, as it does by default */
    const nc_card *card = nc_card_get();
    int needed = type == CUDNN_DATA_HALF                                   ? 7
                 : type == CUDNN_DATA_BFLOAT16 || type == CUDNN_DATA_FLOAT ? 8
                                                                           : 99;
    return card && card->major >= needed;
}

static size_t workspace(cudnnBackendDescriptor_t operation, const operands *kind) {
    cudnnBackendDescriptor_t tensors[] = {nc_dnn_part(operation, kind->x), nc_dnn_part(operation, kind->w),
                                          nc_dnn_part(operation, kind->y)};
    const cudnnDataType_t *type = nc_dnn_value(tensors[0], CUDNN_ATTR_TENSOR_DATA_TYPE, NULL);
    size_t bytes = 0;
    for (int i = 0; type && on_tensor_cores(*type) && i < 3; i++)
        bytes += planar_bytes(tensors[i], nc_dnn_width(*type));
    return nc_guessed(NC_GUESS_CONVOLUTION, bytes);
}

int nc_dnn_engines(cudnnBackendDescriptor_t graph, bool fallback) {
    const operands *kind;
    return convolution_in(graph, &kind) && !fallback ? 2 : 1;
}

nc_dnn_plan nc_dnn_plan_of(cudnnBackendDescriptor_t graph, int engine, bool fallback) {
    const operands *kind;
    cudnnBackendDescriptor_t operation = convolution_in(graph, &kind);
    nc_dnn_plan plan = {operation != NULL, 0};
    if (operation && !engine && !fallback) plan.workspace = workspace(operation, kind);
    return plan;
}
