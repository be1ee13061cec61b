/* What nanocheck itself asks from inside the observed process, through ctypes. */
#include "answers/answers.h"
#include "base/guesses.h"
#include "base/machine.h"
#include "memory/budget.h"
#include "values/known.h"
#include "values/read_back.h"

unsigned long long nanocheck_counter(int counter) {
    return counter >= 0 && counter < NC_COUNTERS ? nc_counted((nc_counter)counter) : 0;
}
unsigned long long nanocheck_sizes_made_up(void) { return nc_counted(NC_SIZES_MADE_UP); }
/* How often a library was asked for a size that only it knows, and the most bytes that were answered. */
unsigned long long nanocheck_guesses(int about, size_t *most) { return nc_guesses(about, most); }
/* Of one of the machine's cards: what nvidia-smi shows for this process, and the most it would have shown. */
static bool has(int slot) { return slot >= 0 && slot < nc_machine_all(); }
size_t nanocheck_card_process(int slot) { return has(slot) ? nc_budget_process(slot) : 0; }
size_t nanocheck_card_peak(int slot) { return has(slot) ? nc_budget_peak(slot) : 0; }
size_t nanocheck_process_bytes(void) { return nc_budget_process(nc_machine_here()); }
size_t nanocheck_peak_used(void) { return nc_budget_peak(nc_machine_here()); }

/* For NVML, which knows the machine and not what CUDA_VISIBLE_DEVICES leaves of it. */
int nanocheck_machine_cards(void) { return nc_machine_all(); }
int nanocheck_card_attribute(int slot, int attribute) {
    return has(slot) && nc_card_of(slot) ? nc_attribute_of(nc_card_of(slot), attribute) : 0;
}
const char *nanocheck_card_name(int slot) {
    return has(slot) && nc_card_of(slot) ? nc_card_of(slot)->name : "";
}
size_t nanocheck_card_total(int slot) {
    return has(slot) && nc_card_of(slot) ? nc_card_of(slot)->total_bytes : 0;
}
size_t nanocheck_card_left(int slot) { return has(slot) && nc_card_of(slot) ? nc_budget_left(slot) : 0; }
int nanocheck_card_links(int slot) { return has(slot) && nc_card_of(slot) ? nc_card_of(slot)->links : 0; }
int nanocheck_card_peers(int slot) { return has(slot) && nc_card_of(slot) ? nc_card_of(slot)->peers : 0; }
int nanocheck_card_processes(int slot, unsigned *pids, size_t *bytes, int room) {
    return has(slot) && nc_card_of(slot) ? nc_budget_list(slot, pids, bytes, room) : 0;
}

/* 0 unknown, 1 the program wrote it, 2 it follows from any finite numbers, 3 a predicate's guess. */
int nanocheck_known(const void *storage, const void *at, size_t bytes) {
    size_t ahead = (size_t)((const char *)at - (const char *)storage);
    if (!nc_known_all(storage, ahead + bytes)) return 0;
    return 1 + (int)nc_known_origin(at);
}
void nanocheck_wrote(const void *at) { nc_known_lose(at); }

/* What the host computed of known values and has just written there itself; `origin` is an nc_origin.
 * Nothing that an earlier tensor left stays beside it in the same unit. Leftovers of launches are no reason to doubt
 * it: who says it is computed knows when its memory is written or given back, and says so (nanocheck_lost). */
void nanocheck_computed(const void *at, size_t bytes, int origin) {
    nc_known_lose_range(at, bytes);
    nc_known_set(at, bytes, (nc_origin)origin);
    nc_known_keep_range(at, bytes);
}
void nanocheck_lost(const void *at, size_t bytes) { nc_known_lose_range(at, bytes); }
/* A count that PyTorch reads back next, in this thread (values/read_back.h); 1: it will. */
int nanocheck_tell_read(const void *value, size_t bytes) { return nc_read_back_tell(value, bytes); }
int nanocheck_read_waits(void) { return nc_read_back_waits(); }
