/* cuDNN: versions, handles, and the descriptors of tensors and filters. */
#include "answers/dnn.h"
#include "work/capture.h"
#include <cudnn_ops.h>
#include <cudnn_version.h>

typedef cudnnStatus_t status;
_Static_assert(sizeof(struct cudnnTensorStruct) <= NC_OBJECT_BYTES, "fits");

size_t cudnnGetVersion(void) { return CUDNN_VERSION; }
status cudnnGetProperty(libraryPropertyType which, int *value) {
    *value = which == MAJOR_VERSION ? CUDNN_MAJOR : which == MINOR_VERSION ? CUDNN_MINOR : CUDNN_PATCHLEVEL;
    return CUDNN_STATUS_SUCCESS;
}
size_t cudnnGetCudartVersion(void) { return CUDART_VERSION; }
const char *cudnnGetErrorString(status s) { return s ? "error of the virtual GPU" : "CUDNN_STATUS_SUCCESS"; }
void cudnnGetLastErrorString(char *text, size_t length) {
    if (length) *text = 0;
}

status nc_dnn_create(void **out, nc_kind kind) {
    if (!out) return CUDNN_STATUS_BAD_PARAM;
    return (*out = nc_object_new(kind)) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_INTERNAL_ERROR;
}
status nc_dnn_destroy(void *object, nc_kind kind) {
    return nc_object_delete(object, kind) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

status cudnnCreate(cudnnHandle_t *out) { return nc_dnn_create((void **)out, NC_DNN); }
status cudnnDestroy(cudnnHandle_t h) { return nc_dnn_destroy(h, NC_DNN); }
status cudnnSetStream(cudnnHandle_t h, cudaStream_t s) {
    if (!nc_object_is(h, NC_DNN)) return CUDNN_STATUS_BAD_PARAM;
    h->stream = s;
    return CUDNN_STATUS_SUCCESS;
}
status cudnnGetStream(cudnnHandle_t h, cudaStream_t *s) {
    if (!nc_object_is(h, NC_DNN) || !s) return CUDNN_STATUS_BAD_PARAM;
    *s = h->stream;
    return CUDNN_STATUS_SUCCESS;
}
status nc_dnn_computed(cudnnHandle_t h) {
    if (!nc_object_is(h, NC_DNN)) return CUDNN_STATUS_BAD_PARAM;
    nc_count(NC_LAUNCHES);
    nc_capture_node(h->stream);
    return CUDNN_STATUS_SUCCESS;
}

size_t nc_dnn_width(cudnnDataType_t type) {
    switch (type) {
    case CUDNN_DATA_DOUBLE:
    case CUDNN_DATA_INT64: return 8;
    case CUDNN_DATA_HALF:
    case CUDNN_DATA_BFLOAT16: return 2;
    case CUDNN_DATA_FLOAT:
    case CUDNN_DATA_INT32: return 4;
    default: return 1; /* eight bits of some kind */
    }
}

/* ---- tensors; a filter is one without strides ---- */
status cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *out) {
    return nc_dnn_create((void **)out, NC_TENSOR);
}
status cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t d) { return nc_dnn_destroy(d, NC_TENSOR); }
status cudnnSetTensorNdDescriptor(cudnnTensorDescriptor_t d, cudnnDataType_t type, int count,
                                  const int dimensions[], const int strides[]) {
    if (!nc_object_is(d, NC_TENSOR) || count < 1 || count > NC_DIMENSIONS || !dimensions || !strides)
        return CUDNN_STATUS_BAD_PARAM;
    d->type = type;
    d->count = count;
    for (int i = 0; i < count; i++) {
        d->dimensions[i] = dimensions[i];
        d->strides[i] = strides[i];
    }
    return CUDNN_STATUS_SUCCESS;
}
status cudnnGetTensorNdDescriptor(const cudnnTensorDescriptor_t d, int room, cudnnDataType_t *type,
                                  int *count, int dimensions[], int strides[]) {
    if (!nc_object_is(d, NC_TENSOR) || !type || !count) return CUDNN_STATUS_BAD_PARAM;
    *type = d->type;
    *count = d->count;
    for (int i = 0; i < room && i < d->count; i++) {
        dimensions[i] = d->dimensions[i];
        strides[i] = d->strides[i];
    }
    return CUDNN_STATUS_SUCCESS;
}
status cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *out) {
    return nc_dnn_create((void **)out, NC_FILTER);
}
status cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t d) { return nc_dnn_destroy(d, NC_FILTER); }
status cudnnSetFilterNdDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t type, cudnnTensorFormat_t format,
                                  int count, const int dimensions[]) {
    return nc_object_is(d, NC_FILTER) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}
