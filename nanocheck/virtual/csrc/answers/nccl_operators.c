/* Scaled sums (ncclRedOpCreatePreMulSum): FSDP2 divides gradients by the number of ranks that way. */
#include "answers/nccl_operators.h"
#include "answers/nccl_calls.h"
#include "values/known.h"
#include "values/reduce.h"

enum { MOST = 4096 }; /* of the latest the number is remembered; they live for one collective */
static struct {
    int operator;
    bool known;
    double by;
} scales[MOST];

ncclResult_t ncclRedOpCreatePreMulSum(ncclRedOp_t *op, void *scalar, ncclDataType_t type,
                                      ncclScalarResidence_t where, ncclComm_t comm) {
    static unsigned made;
    double by = 1;
    unsigned number = __atomic_fetch_add(&made, 1, __ATOMIC_RELAXED), at = number % MOST;
    bool known = nc_known_all(scalar, nc_type_size(type)) && nc_number_at(scalar, (nc_number)type, &by);
    *op = (ncclRedOp_t)(ncclNumOps + (int)(number % (1 << 20)));
    __atomic_store(&scales[at].by, &by, __ATOMIC_RELAXED);
    __atomic_store_n(&scales[at].known, known, __ATOMIC_RELAXED);
    __atomic_store_n(&scales[at].operator,(int) * op, __ATOMIC_RELEASE);
    return ncclSuccess;
}
ncclResult_t ncclRedOpDestroy(ncclRedOp_t op, ncclComm_t comm) { return ncclSuccess; }

bool nc_operator_scale(ncclRedOp_t op, double *scale) {
    *scale = 1;
    if ((int)op < ncclNumOps) return true;
    int at = ((int)op - ncclNumOps) % MOST;
    __atomic_load(&scales[at].by, scale, __ATOMIC_RELAXED);
    return __atomic_load_n(&scales[at].known, __ATOMIC_RELAXED)
           && __atomic_load_n(&scales[at].operator, __ATOMIC_ACQUIRE) == (int)op;
}
