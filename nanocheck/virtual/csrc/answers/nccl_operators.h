/* Operators that a program makes for itself. */
#ifndef NANOCHECK_NCCL_OPERATORS_H
#define NANOCHECK_NCCL_OPERATORS_H
#include "answers/nccl.h"

/* What a scaled sum multiplies by; 1 for the operators that NCCL has; false: nobody knows. */
NC_HIDDEN bool nc_operator_scale(ncclRedOp_t operator, double * scale);

#endif
