/* Sizes that only NVIDIA's own library knows: each is taken from a formula, counted, and told in the run's notes. */
#ifndef NANOCHECK_GUESSES_H
#define NANOCHECK_GUESSES_H
#include "base/base.h"

/* The order is that of _GUESSES in nanocheck/observe/introspect.py. */
typedef enum {
    NC_GUESS_SOLVER,
    NC_GUESS_FFT,
    NC_GUESS_SPARSE,
    NC_GUESS_RECURRENT,
    NC_GUESS_CONVOLUTION,
    NC_GUESS_NORM,
    NC_GUESSES
} nc_guess;

/* Counts one guess and hands the bytes back. */
NC_HIDDEN size_t nc_guessed(nc_guess about, size_t bytes);
/* How often, and the most bytes at once; 0 for a number that is no nc_guess. */
NC_HIDDEN unsigned long long nc_guesses(int about, size_t *most);

#endif
