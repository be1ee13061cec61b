/* cuFFT: plans, and how large their work area is taken to be.
 *
 * NVIDIA documents a range: as little as one complex transform of this size, up to eight times that for sizes with
 * large prime factors (CUFFT_Library, "cufftMakePlan" and "cufftEstimate"). So it is one where every length is a
 * product of 2, 3, 5 and 7, else eight: the documented most.
 */
#include "answers/answers.h"
#include "base/guesses.h"
#include "values/known.h"
#include "work/capture.h"
#include <library_types.h>

typedef enum {
    SUCCESS,
    INVALID_PLAN,
    ALLOC_FAILED,
    INVALID_VALUE = 4,
    INVALID_SIZE = 8
} status; /* cufftResult */
typedef struct {
    cudaStream_t stream;
} plan;

static plan *plan_of(int handle) {
    plan *p = nc_object_numbered(handle);
    return nc_object_is(p, NC_FFT_PLAN) ? p : NULL;
}

status cufftCreate(int *handle) {
    if (!handle) return INVALID_VALUE;
    *handle = nc_object_number(nc_object_new(NC_FFT_PLAN));
    return *handle ? SUCCESS : ALLOC_FAILED;
}
status cufftDestroy(int handle) {
    return nc_object_delete(nc_object_numbered(handle), NC_FFT_PLAN) ? SUCCESS : INVALID_PLAN;
}
status cufftSetStream(int handle, cudaStream_t stream) {
    plan *p = plan_of(handle);
    if (!p) return INVALID_PLAN;
    p->stream = stream;
    return SUCCESS;
}
/* PyTorch brings the work area itself; a plan that would take its own from the card is refused by name. */
status cufftSetAutoAllocation(int handle, int automatic) {
    if (!plan_of(handle)) return INVALID_PLAN;
    if (automatic) nc_unimplemented("cufftSetAutoAllocation(1)");
    return SUCCESS;
}
status cufftSetWorkArea(int handle, void *area) { return plan_of(handle) ? SUCCESS : INVALID_PLAN; }

static bool smooth(long long n) {
    static const int PRIMES[] = {2, 3, 5, 7};
    for (int i = 0; i < 4; i++)
        while (n % PRIMES[i] == 0) n /= PRIMES[i];
    return n == 1;
}

static size_t complex_bytes(cudaDataType type) {
    switch (type) {
    case CUDA_R_64F:
    case CUDA_C_64F: return 16;
    case CUDA_R_16F:
    case CUDA_C_16F:
    case CUDA_R_16BF:
    case CUDA_C_16BF: return 4;
    default: return 8;
    }
}
static bool is_real(cudaDataType type) {
    return type == CUDA_R_16F || type == CUDA_R_16BF || type == CUDA_R_32F || type == CUDA_R_64F;
}

status cufftXtMakePlanMany(int handle, int rank, long long *n, long long *inembed, long long istride,
                           long long idist, cudaDataType from, long long *onembed, long long ostride,
                           long long odist, cudaDataType to, long long batch, size_t *work,
                           cudaDataType execution) {
    if (!plan_of(handle)) return INVALID_PLAN;
    if (rank < 1 || rank > 3 || !n || !work) return INVALID_VALUE;
    size_t elements = batch > 0 ? (size_t)batch : 0, times = 1;
    for (int i = 0; i < rank; i++) {
        if (n[i] < 1) return INVALID_SIZE;
        bool half =
            i == rank - 1 && (is_real(from) || is_real(to)); /* of a real transform only half is kept */
        elements *= (size_t)(half ? n[i] / 2 + 1 : n[i]);
        if (!smooth(n[i])) times = 8;
    }
    *work = nc_guessed(NC_GUESS_FFT, elements * complex_bytes(execution) * times);
    return SUCCESS;
}
status cufftXtExec(int handle, void *from, void *to, int direction) {
    const plan *p = plan_of(handle);
    if (!p) return INVALID_PLAN;
    nc_known_lose(to);
    nc_count(NC_LAUNCHES);
    nc_capture_node(p->stream);
    return SUCCESS;
}
