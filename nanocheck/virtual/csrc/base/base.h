/* What every file includes: CUDA's own types, and how a name is kept inside the library. */
#ifndef NANOCHECK_BASE_H
#define NANOCHECK_BASE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NC_HIDDEN __attribute__((visibility("hidden")))

#endif
