/* What the two files about NCCL share. The declarations are those of the installed wheel's nccl.h, which is C++
 * beyond these guards. */
#ifndef NANOCHECK_ANSWERS_NCCL_H
#define NANOCHECK_ANSWERS_NCCL_H
#include "answers/answers.h"
#define __CUDA_RUNTIME_H__
#define __CUDA_FP16_H__
#define __CUDA_BF16_H__
#define __CUDA_FP8_H__
#include <nccl.h>

struct ncclComm {
    int device, ranks, rank;
};
/* Of all its 128 bytes. */
NC_HIDDEN uint64_t nc_nccl_hash(const void *unique_id);
/* Notes why for ncclGetLastError, and hands the result back. */
NC_HIDDEN ncclResult_t nc_nccl_fail(ncclResult_t result, const char *why);

#endif
