/* How large a recurrent layer's weights, workspace and reserve space are.
 *
 * The weights are exact: they must be where PyTorch's own parameters are views of them. Every pseudo-layer (a layer's
 * direction) has its input matrices, its recurrent ones, and a projection; all biases follow. The other two are cuDNN's
 * secret, and guessed as what the passes cannot do without, at every step of every sequence:
 *   reserve    the gates' values (a GRU's new gate twice: before and after the reset), an LSTM's cell, what each layer
 *              but the last hands to the next, and one byte for each that may be dropped;
 *   workspace  the products of one layer's inputs with its matrices, in all directions.
 * States for dropout are taken to be curand's (48 bytes) for each thread that the card can hold.
 */
#include "answers/dnn_recurrent.h"
#include "base/guesses.h"

typedef cudnnStatus_t status;
typedef const struct cudnnRNNStruct layers;

#define NEEDS(object, kind) \
    if (!nc_object_is(object, kind)) return CUDNN_STATUS_BAD_PARAM

enum { CURAND_STATE = 48 };

static size_t gates(layers *l) { return l->cell == CUDNN_LSTM ? 4 : l->cell == CUDNN_GRU ? 3 : 1; }
static bool projects(layers *l) { return l->output < l->hidden; }
static bool biased(layers *l, bool recurrent) {
    return l->bias == CUDNN_RNN_DOUBLE_BIAS
           || l->bias == (recurrent ? CUDNN_RNN_SINGLE_REC_BIAS : CUDNN_RNN_SINGLE_INP_BIAS);
}
static size_t width_in(layers *l, int layer) {
    return (size_t)(layer ? l->output * l->directions : l->input);
}
/* Elements of the matrices of all pseudo-layers before this one. */
static size_t before(layers *l, int pseudo) {
    size_t elements = 0, hidden = (size_t)l->hidden, output = (size_t)l->output;
    for (int i = 0; i < pseudo; i++) {
        elements += gates(l) * hidden * (width_in(l, i / l->directions) + output);
        if (projects(l)) elements += hidden * output;
    }
    return elements;
}
static size_t biases_before(layers *l, int pseudo) {
    size_t kinds = (size_t)biased(l, false) + (size_t)biased(l, true);
    return (size_t)pseudo * gates(l) * (size_t)l->hidden * kinds;
}

status cudnnGetRNNWeightSpaceSize(cudnnHandle_t h, cudnnRNNDescriptor_t d, size_t *bytes) {
    NEEDS(d, NC_RECURRENT);
    if (!bytes) return CUDNN_STATUS_BAD_PARAM;
    int all = d->layers * d->directions;
    *bytes = (before(d, all) + biases_before(d, all)) * nc_dnn_width(d->type);
    return CUDNN_STATUS_SUCCESS;
}

static void shape(cudnnTensorDescriptor_t d, cudnnDataType_t type, size_t rows, size_t columns) {
    if (!nc_object_is(d, NC_TENSOR)) return;
    *d = (struct cudnnTensorStruct){
        type, rows ? 3 : 0, {1, (int)rows, (int)columns}, {(int)(rows * columns), (int)columns, 1}};
}
/* Matrix and bias `id` of a pseudo-layer: first those of the input, one for each gate, then the recurrent ones; an LSTM's
 * number 8 is its projection. NULL: it has none. Of matrix and bias, the caller may leave one out. */
status cudnnGetRNNWeightParams(cudnnHandle_t h, cudnnRNNDescriptor_t d, int32_t pseudo, size_t bytes,
                               const void *weights, int32_t id, cudnnTensorDescriptor_t matrix, void **at,
                               cudnnTensorDescriptor_t bias, void **bias_at) {
    NEEDS(d, NC_RECURRENT);
    int all = d->layers * d->directions, count = (int)gates(d);
    if (pseudo < 0 || pseudo >= all || id < 0 || id > 2 * count) return CUDNN_STATUS_BAD_PARAM;
    size_t hidden = (size_t)d->hidden, input = width_in(d, pseudo / d->directions),
           output = (size_t)d->output;
    size_t width = nc_dnn_width(d->type), from = before(d, pseudo);
    bool recurrent = id >= count, projection = id == 2 * count;
    bool exists = !projection || projects(d);
    size_t gate = (size_t)(recurrent ? id - count : id), rows = projection ? output : hidden;
    size_t columns = projection ? hidden : recurrent ? output : input;
    if (recurrent) from += (size_t)count * hidden * input;
    from += gate * hidden * (recurrent ? output : input);
    if (at) *at = exists ? (char *)weights + from * width : NULL;
    shape(matrix, d->type, exists ? rows : 0, columns);
    bool has = !projection && biased(d, recurrent);
    size_t skipped = recurrent && biased(d, false) ? (size_t)count * hidden : 0;
    size_t place = before(d, all) + biases_before(d, pseudo) + skipped + gate * hidden;
    if (bias_at) *bias_at = has ? (char *)weights + place * width : NULL;
    shape(bias, d->type, has ? hidden : 0, 1);
    return CUDNN_STATUS_SUCCESS;
}

status cudnnGetRNNTempSpaceSizes(cudnnHandle_t h, cudnnRNNDescriptor_t d, cudnnForwardMode_t mode,
                                 cudnnRNNDataDescriptor_t x, size_t *work, size_t *reserve) {
    NEEDS(d, NC_RECURRENT);
    NEEDS(x, NC_SEQUENCE);
    size_t width = nc_dnn_width(d->type), directions = (size_t)d->directions, layers_ = (size_t)d->layers;
    size_t steps = (size_t)x->length * (size_t)x->batch * directions, hidden = (size_t)d->hidden;
    size_t kept =
        gates(d) + (d->cell == CUDNN_LSTM || d->cell == CUDNN_GRU); /* the cell; the new gate again */
    size_t handed = steps * (size_t)d->output * (layers_ - 1);
    if (work) *work = nc_guessed(NC_GUESS_RECURRENT, steps * gates(d) * hidden * width);
    if (!reserve) return CUDNN_STATUS_SUCCESS;
    *reserve = 0;
    if (mode == CUDNN_FWD_MODE_TRAINING)
        *reserve = nc_guessed(NC_GUESS_RECURRENT, steps * kept * hidden * layers_ * width + handed * width
                                                      + (d->drops ? handed : 0));
    return CUDNN_STATUS_SUCCESS;
}

status cudnnDropoutGetStatesSize(cudnnHandle_t h, size_t *bytes) {
    const nc_card *card = nc_card_get();
    if (!bytes || !card) return CUDNN_STATUS_BAD_PARAM;
    *bytes = nc_guessed(NC_GUESS_RECURRENT, (size_t)card->sms * (size_t)card->threads_per_sm * CURAND_STATE);
    return CUDNN_STATUS_SUCCESS;
}
