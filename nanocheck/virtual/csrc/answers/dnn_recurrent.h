/* What is behind the descriptors of recurrent layers. */
#ifndef NANOCHECK_ANSWERS_DNN_RECURRENT_H
#define NANOCHECK_ANSWERS_DNN_RECURRENT_H
#include "answers/dnn.h"
#include <cudnn_adv.h>

struct cudnnRNNStruct {
    cudnnRNNMode_t cell;
    cudnnRNNBiasMode_t bias;
    cudnnDataType_t type;
    int directions, input, hidden, output, layers; /* output: what a step hands on, after a projection */
    bool drops;                                    /* between layers */
};
struct cudnnRNNDataStruct {
    int length, batch;
};
struct cudnnDropoutStruct {
    float rate;
};

#endif
