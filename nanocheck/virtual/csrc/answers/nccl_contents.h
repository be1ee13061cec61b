/* What calls of one group leave in this rank's memory. */
#ifndef NANOCHECK_NCCL_CONTENTS_H
#define NANOCHECK_NCCL_CONTENTS_H
#include "answers/nccl_calls.h"

/* Says all of them before it waits for any; the first error. */
NC_HIDDEN ncclResult_t nc_calls_run(nc_call *calls, int count);
/* What a scaled sum multiplies by; 1 for the operators that NCCL has; false: nobody knows. */
NC_HIDDEN bool nc_operator_scale(ncclRedOp_t operator, double * scale);

#endif
