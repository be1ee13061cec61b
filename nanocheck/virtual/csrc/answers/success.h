/* How a factorisation says on the card that it succeeded. */
#ifndef NANOCHECK_ANSWERS_SUCCESS_H
#define NANOCHECK_ANSWERS_SUCCESS_H
#include "base/base.h"

/* Zeros for so many matrices: a guess, since nobody factorised, and one that stays. Programs stop where they read another
 * number, and what an unnamed kernel found on its stack shall not make it one. */
NC_HIDDEN void nc_succeed(int *info, size_t matrices);

#endif
