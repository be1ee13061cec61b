/* How often a size was guessed, and the largest. */
#include "base/guesses.h"

static unsigned long long times[NC_GUESSES];
static size_t largest[NC_GUESSES];

size_t nc_guessed(nc_guess about, size_t bytes) {
    __atomic_add_fetch(&times[about], 1, __ATOMIC_RELAXED);
    size_t before = __atomic_load_n(&largest[about], __ATOMIC_RELAXED);
    while (bytes > before
           && !__atomic_compare_exchange_n(&largest[about], &before, bytes, false, __ATOMIC_RELAXED,
                                           __ATOMIC_RELAXED)) {
    }
    return bytes;
}

unsigned long long nc_guesses(int about, size_t *most) {
    if (about < 0 || about >= NC_GUESSES) return 0;
    if (most) *most = __atomic_load_n(&largest[about], __ATOMIC_RELAXED);
    return __atomic_load_n(&times[about], __ATOMIC_RELAXED);
}
