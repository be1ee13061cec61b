/* What the files about NCCL share. The declarations are those of the installed wheel's nccl.h, which is C++
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
    unsigned children;      /* communicators made from this one */
    uint64_t key;           /* the same for all its ranks, and for no other communicator */
    struct nc_group *group; /* see nccl_group.h; NULL: a rank alone */
    bool used[2];           /* by collectives, by messages; see nccl_used.h */
    size_t taken;           /* of the card, for its connections */
};
/* Notes why for ncclGetLastError, and hands the result back. */
NC_HIDDEN ncclResult_t nc_nccl_fail(ncclResult_t result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline uint64_t nc_nccl_mix(uint64_t a, uint64_t b) { /* splitmix64's end */
    uint64_t x = a * 0x9e3779b97f4a7c15 + b + 1;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

#endif
