/* cuDNN's recurrent layers: their descriptors, and one pass over a sequence.
 *
 * How large the spaces are that a pass needs is in dnn_recurrent_sizes.c.
 */
#include "answers/dnn_recurrent.h"
#include "values/known.h"

typedef cudnnStatus_t status;
_Static_assert(sizeof(struct cudnnRNNStruct) <= NC_OBJECT_BYTES, "fits");

#define NEEDS(object, kind) \
    if (!nc_object_is(object, kind)) return CUDNN_STATUS_BAD_PARAM

/* ---- dropout ---- */
status cudnnCreateDropoutDescriptor(cudnnDropoutDescriptor_t *out) {
    return nc_dnn_create((void **)out, NC_DROPOUT);
}
status cudnnDestroyDropoutDescriptor(cudnnDropoutDescriptor_t d) { return nc_dnn_destroy(d, NC_DROPOUT); }
status cudnnSetDropoutDescriptor(cudnnDropoutDescriptor_t d, cudnnHandle_t h, float rate, void *states,
                                 size_t bytes, unsigned long long seed) {
    NEEDS(d, NC_DROPOUT);
    d->rate = rate;
    if (states) nc_known_lose(states);
    return CUDNN_STATUS_SUCCESS;
}
status cudnnRestoreDropoutDescriptor(cudnnDropoutDescriptor_t d, cudnnHandle_t h, float rate, void *states,
                                     size_t bytes, unsigned long long seed) {
    NEEDS(d, NC_DROPOUT);
    d->rate = rate;
    return CUDNN_STATUS_SUCCESS;
}

/* ---- layers and sequences ---- */
status cudnnCreateRNNDescriptor(cudnnRNNDescriptor_t *out) {
    return nc_dnn_create((void **)out, NC_RECURRENT);
}
status cudnnDestroyRNNDescriptor(cudnnRNNDescriptor_t d) { return nc_dnn_destroy(d, NC_RECURRENT); }
status cudnnSetRNNDescriptor_v8(cudnnRNNDescriptor_t d, cudnnRNNAlgo_t algorithm, cudnnRNNMode_t cell,
                                cudnnRNNBiasMode_t bias, cudnnDirectionMode_t direction,
                                cudnnRNNInputMode_t input, cudnnDataType_t type, cudnnDataType_t precision,
                                cudnnMathType_t math, int32_t input_size, int32_t hidden, int32_t projected,
                                int32_t layers, cudnnDropoutDescriptor_t dropout, uint32_t flags) {
    NEEDS(d, NC_RECURRENT);
    if (hidden < 1 || layers < 1 || input_size < 1) return CUDNN_STATUS_BAD_PARAM;
    *d = (struct cudnnRNNStruct){.cell = cell,
                                 .bias = bias,
                                 .type = type,
                                 .directions = direction == CUDNN_BIDIRECTIONAL ? 2 : 1,
                                 .input = input_size,
                                 .hidden = hidden,
                                 .output = projected > 0 && projected < hidden ? projected : hidden,
                                 .layers = layers,
                                 .drops = nc_object_is(dropout, NC_DROPOUT) && dropout->rate > 0};
    return CUDNN_STATUS_SUCCESS;
}
status cudnnCreateRNNDataDescriptor(cudnnRNNDataDescriptor_t *out) {
    return nc_dnn_create((void **)out, NC_SEQUENCE);
}
status cudnnDestroyRNNDataDescriptor(cudnnRNNDataDescriptor_t d) { return nc_dnn_destroy(d, NC_SEQUENCE); }
status cudnnSetRNNDataDescriptor(cudnnRNNDataDescriptor_t d, cudnnDataType_t type,
                                 cudnnRNNDataLayout_t layout, int length, int batch, int width,
                                 const int lengths[], void *padding) {
    NEEDS(d, NC_SEQUENCE);
    if (length < 1 || batch < 1) return CUDNN_STATUS_BAD_PARAM;
    d->length = length;
    d->batch = batch;
    return CUDNN_STATUS_SUCCESS;
}

/* ---- a pass ---- */
static status computed(cudnnHandle_t h, void *first, void *second, void *third) {
    if (first) nc_known_lose(first);
    if (second) nc_known_lose(second);
    if (third) nc_known_lose(third);
    return nc_dnn_computed(h);
}
status cudnnRNNForward(cudnnHandle_t h, cudnnRNNDescriptor_t d, cudnnForwardMode_t mode,
                       const int32_t lengths[], cudnnRNNDataDescriptor_t xd, const void *x,
                       cudnnRNNDataDescriptor_t yd, void *y, cudnnTensorDescriptor_t hd, const void *hx,
                       void *hy, cudnnTensorDescriptor_t cd, const void *cx, void *cy, size_t weight_bytes,
                       const void *weights, size_t work_bytes, void *work, size_t reserve_bytes,
                       void *reserve) {
    NEEDS(d, NC_RECURRENT);
    return computed(h, y, hy, cy);
}
status cudnnRNNBackwardData_v8(cudnnHandle_t h, cudnnRNNDescriptor_t d, const int32_t lengths[],
                               cudnnRNNDataDescriptor_t yd, const void *y, const void *dy,
                               cudnnRNNDataDescriptor_t xd, void *dx, cudnnTensorDescriptor_t hd,
                               const void *hx, const void *dhy, void *dhx, cudnnTensorDescriptor_t cd,
                               const void *cx, const void *dcy, void *dcx, size_t weight_bytes,
                               const void *weights, size_t work_bytes, void *work, size_t reserve_bytes,
                               void *reserve) {
    NEEDS(d, NC_RECURRENT);
    return computed(h, dx, dhx, dcx);
}
status cudnnRNNBackwardWeights_v8(cudnnHandle_t h, cudnnRNNDescriptor_t d, cudnnWgradMode_t mode,
                                  const int32_t lengths[], cudnnRNNDataDescriptor_t xd, const void *x,
                                  cudnnTensorDescriptor_t hd, const void *hx, cudnnRNNDataDescriptor_t yd,
                                  const void *y, size_t weight_bytes, void *gradients, size_t work_bytes,
                                  void *work, size_t reserve_bytes, void *reserve) {
    NEEDS(d, NC_RECURRENT);
    return computed(h, gradients, NULL, NULL);
}
