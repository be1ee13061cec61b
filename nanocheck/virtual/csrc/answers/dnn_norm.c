/* cuDNN's batch normalisation: counted and not computed.
 *
 * What it keeps for the backward pass beside mean and deviation is for a fused activation only (a bit for each element:
 * cudnnBatchNormOps_t); PyTorch asks for none. Its workspaces are partial sums of each channel, of a size that only
 * cuDNN knows: they count as nothing, and are noted.
 */
#include "answers/dnn.h"
#include "base/guesses.h"
#include "values/known.h"
#include <cudnn_ops.h>

typedef cudnnStatus_t status;

static status told(cudnnBatchNormOps_t kind, size_t *bytes) {
    if (!bytes) return CUDNN_STATUS_BAD_PARAM;
    if (kind != CUDNN_BATCHNORM_OPS_BN)
        nc_unimplemented("batch normalisation with a fused activation (cuDNN)");
    *bytes = nc_guessed(NC_GUESS_NORM, 0);
    return CUDNN_STATUS_SUCCESS;
}
status cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(
    cudnnHandle_t h, cudnnBatchNormMode_t mode, cudnnBatchNormOps_t kind, const cudnnTensorDescriptor_t x,
    const cudnnTensorDescriptor_t z, const cudnnTensorDescriptor_t y, const cudnnTensorDescriptor_t scale,
    const cudnnActivationDescriptor_t activation, size_t *bytes) {
    return told(kind, bytes);
}
status cudnnGetBatchNormalizationBackwardExWorkspaceSize(
    cudnnHandle_t h, cudnnBatchNormMode_t mode, cudnnBatchNormOps_t kind, const cudnnTensorDescriptor_t x,
    const cudnnTensorDescriptor_t y, const cudnnTensorDescriptor_t dy, const cudnnTensorDescriptor_t dz,
    const cudnnTensorDescriptor_t dx, const cudnnTensorDescriptor_t scale,
    const cudnnActivationDescriptor_t activation, size_t *bytes) {
    return told(kind, bytes);
}
status cudnnGetBatchNormalizationTrainingExReserveSpaceSize(cudnnHandle_t h, cudnnBatchNormMode_t mode,
                                                            cudnnBatchNormOps_t kind,
                                                            const cudnnActivationDescriptor_t activation,
                                                            const cudnnTensorDescriptor_t x, size_t *bytes) {
    return told(kind, bytes);
}

static status computed(cudnnHandle_t h, void *outputs[], int count) {
    for (int i = 0; i < count; i++)
        if (outputs[i]) nc_known_lose(outputs[i]);
    return nc_dnn_computed(h);
}
status cudnnBatchNormalizationForwardTrainingEx(
    cudnnHandle_t h, cudnnBatchNormMode_t mode, cudnnBatchNormOps_t kind, const void *alpha, const void *beta,
    const cudnnTensorDescriptor_t xd, const void *x, const cudnnTensorDescriptor_t zd, const void *z,
    const cudnnTensorDescriptor_t yd, void *y, const cudnnTensorDescriptor_t scale_d, const void *scale,
    const void *bias, double factor, void *running_mean, void *running_variance, double epsilon,
    void *saved_mean, void *saved_deviation, cudnnActivationDescriptor_t activation, void *work,
    size_t work_bytes, void *reserve, size_t reserve_bytes) {
    void *outputs[] = {y, running_mean, running_variance, saved_mean, saved_deviation};
    return computed(h, outputs, 5);
}
status cudnnBatchNormalizationBackwardEx(
    cudnnHandle_t h, cudnnBatchNormMode_t mode, cudnnBatchNormOps_t kind, const void *alpha, const void *beta,
    const void *alpha_parameters, const void *beta_parameters, const cudnnTensorDescriptor_t xd,
    const void *x, const cudnnTensorDescriptor_t yd, const void *y, const cudnnTensorDescriptor_t dyd,
    const void *dy, const cudnnTensorDescriptor_t dzd, void *dz, const cudnnTensorDescriptor_t dxd, void *dx,
    const cudnnTensorDescriptor_t scale_d, const void *scale, const void *bias, void *d_scale, void *d_bias,
    double epsilon, const void *saved_mean, const void *saved_deviation,
    cudnnActivationDescriptor_t activation, void *work, size_t work_bytes, void *reserve,
    size_t reserve_bytes) {
    void *outputs[] = {dz, dx, d_scale, d_bias};
    return computed(h, outputs, 4);
}
status cudnnBatchNormalizationForwardInference(cudnnHandle_t h, cudnnBatchNormMode_t mode, const void *alpha,
                                               const void *beta, const cudnnTensorDescriptor_t xd,
                                               const void *x, const cudnnTensorDescriptor_t yd, void *y,
                                               const cudnnTensorDescriptor_t scale_d, const void *scale,
                                               const void *bias, const void *mean, const void *variance,
                                               double epsilon) {
    void *outputs[] = {y};
    return computed(h, outputs, 1);
}
