/* What the files about cuDNN share: what is behind its handles and descriptors. */
#ifndef NANOCHECK_ANSWERS_DNN_H
#define NANOCHECK_ANSWERS_DNN_H
#include "answers/answers.h"
#include <cudnn_graph.h>

struct cudnnContext {
    cudaStream_t stream;
};

enum { NC_DIMENSIONS = 8 }; /* CUDNN_DIM_MAX */
struct cudnnTensorStruct {
    cudnnDataType_t type;
    int count, dimensions[NC_DIMENSIONS], strides[NC_DIMENSIONS];
};

NC_HIDDEN size_t nc_dnn_width(cudnnDataType_t type); /* bytes per element */
/* One piece of work on the handle's stream. */
NC_HIDDEN cudnnStatus_t nc_dnn_computed(cudnnHandle_t handle);
/* A descriptor's new object; whatever it holds is zero. */
NC_HIDDEN cudnnStatus_t nc_dnn_create(void **out, nc_kind kind);
NC_HIDDEN cudnnStatus_t nc_dnn_destroy(void *object, nc_kind kind);

#endif
