/* What nanocheck itself asks from inside the observed process, through ctypes. */
#include "answers/answers.h"
#include "base/guesses.h"
#include "memory/budget.h"
#include "values/known.h"

unsigned long long nanocheck_counter(int counter) {
    return counter >= 0 && counter < NC_COUNTERS ? nc_counted((nc_counter)counter) : 0;
}
unsigned long long nanocheck_sizes_made_up(void) { return nc_counted(NC_SIZES_MADE_UP); }
/* How often a library was asked for a size that only it knows, and the most bytes that were answered. */
unsigned long long nanocheck_guesses(int about, size_t *most) { return nc_guesses(about, most); }
size_t nanocheck_process_bytes(void) { return nc_budget_process(); } /* what nvidia-smi would show now */
size_t nanocheck_peak_used(void) { return nc_budget_peak(); }        /* the most it would have shown */

/* 0 unknown, 1 the program wrote it, 2 the answer of a predicate. */
int nanocheck_known(const void *storage, const void *at, size_t bytes) {
    size_t ahead = (size_t)((const char *)at - (const char *)storage);
    if (!nc_known_all(storage, ahead + bytes)) return 0;
    return nc_known_guessed(at) ? 2 : 1;
}
void nanocheck_wrote(const void *at) { nc_known_lose(at); }
