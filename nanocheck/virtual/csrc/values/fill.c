/* Fills are carried out: torch.zeros, ones, full of small tensors hold what the program wrote.
 *
 * A program that reads back a flag, a scale or a counter it has just set must find it; a GradScaler
 * that found a stale value in found_inf would skip its step and change the peak. PyTorch fills with
 *   at::native::vectorized_elementwise_kernel<N, at::native::FillFunctor<T>, array<char*, 1>>(int n, functor, data)
 * or unrolled_elementwise_kernel with the same first three arguments (aten/src/ATen/native/cuda/
 * FillKernel.cu, CUDALoops.cuh); the element type is read from the kernel's mangled name. A tensor with
 * gaps goes to elementwise_kernel(int n, function), which has no third argument: that one is not carried out.
 */
#include "values/fill.h"
#include "base/card.h"
#include "memory/arena.h"
#include "values/known.h"
#include <string.h>

int nc_fill_width(const char *name) {
    static const struct {
        const char *mangled;
        int bytes;
    } TYPES[] = {
        {"b", 1},
        {"a", 1},
        {"h", 1},
        {"s", 2},
        {"t", 2},
        {"i", 4},
        {"j", 4},
        {"l", 8},
        {"m", 8},
        {"f", 4},
        {"d", 8},
        {"N3c104HalfE", 2},
        {"N3c108BFloat16E", 2},
        {"N3c107complexIfEE", 8},
        {"N3c107complexIdEE", 16},
    };
    const char *functor = strstr(name, "11FillFunctorI");
    if (!functor
        || !(strstr(name, "vectorized_elementwise_kernel") || strstr(name, "unrolled_elementwise_kernel")))
        return 0;
    functor += strlen("11FillFunctorI");
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        size_t length = strlen(TYPES[i].mangled);
        if (!strncmp(functor, TYPES[i].mangled, length) && functor[length] == 'E') return TYPES[i].bytes;
    }
    return 0;
}

bool nc_fill_run(int width, void **arguments) {
    int count;
    char *to;
    memcpy(&count, arguments[0], sizeof count);
    memcpy(&to, arguments[2], sizeof to);
    const nc_card *card = nc_card_get();
    size_t bytes = (size_t)(count < 0 ? 0 : count) * (size_t)width;
    if (!nc_is_device(to) || !card) return false;
    if (bytes > card->copy_limit_bytes) nc_known_lose_range(to, bytes);
    if (bytes > card->copy_limit_bytes) return false;
    for (size_t at = 0; at < bytes; at += (size_t)width) memcpy(to + at, arguments[1], (size_t)width);
    nc_known_set(to, bytes, NC_WRITTEN);
    return true;
}
