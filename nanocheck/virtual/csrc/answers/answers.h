/* What every answer includes: the card, the thread's last error, and how a run is stopped. */
#ifndef NANOCHECK_ANSWERS_H
#define NANOCHECK_ANSWERS_H
#include "base/card.h"
#include "base/counters.h"
#include "base/last_error.h"
#include "base/objects.h"
#include "base/report.h"

/* A call that is told nowhere to put its answer is an invalid value, to the runtime and to the driver. */
#define NEEDS_ROOM(...)                                                                                     \
    for (const void *const *nc_room = (const void *const[]){__VA_ARGS__, (void *)1}; *nc_room != (void *)1; \
         nc_room++)                                                                                         \
        if (!*nc_room) return nc_fail(cudaErrorInvalidValue)
#define NEEDS_ROOM_CU(...)                                                                                  \
    for (const void *const *nc_room = (const void *const[]){__VA_ARGS__, (void *)1}; *nc_room != (void *)1; \
         nc_room++)                                                                                         \
        if (!*nc_room) return CUDA_ERROR_INVALID_VALUE

/* An answer has the signature that NVIDIA gave the function, whatever of it is looked at. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

#endif
