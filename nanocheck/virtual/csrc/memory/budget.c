/* The card's memory budget: the one place where bytes of the card are taken and given back. */
#include "memory/budget.h"
#include "base/card.h"
#include "base/locks.h"
#include "memory/shown.h"

/* Granules handed out by cudaMalloc and cuMemCreate; the most at once. */
static size_t used_bytes, most_bytes;

bool nc_budget_take(size_t bytes) {
    const nc_card *card = nc_card_get();
    nc_lock(NC_LOCK_BUDGET);
    bool fits = used_bytes + bytes + card->context_bytes + card->reserve_bytes <= card->total_bytes;
    if (fits) used_bytes += bytes;
    if (used_bytes > most_bytes) most_bytes = used_bytes;
    nc_shown_set(card->context_bytes + used_bytes);
    nc_unlock(NC_LOCK_BUDGET);
    return fits;
}

void nc_budget_give(size_t bytes) {
    nc_lock(NC_LOCK_BUDGET);
    used_bytes -= bytes;
    nc_shown_set(nc_card_get()->context_bytes + used_bytes);
    nc_unlock(NC_LOCK_BUDGET);
}

size_t nc_budget_free(void) {
    const nc_card *card = nc_card_get();
    nc_lock(NC_LOCK_BUDGET);
    size_t taken = used_bytes + card->context_bytes + card->reserve_bytes;
    nc_unlock(NC_LOCK_BUDGET);
    return taken < card->total_bytes ? card->total_bytes - taken : 0;
}

size_t nc_budget_process(void) {
    const nc_card *card = nc_card_get();
    return card ? card->total_bytes - card->reserve_bytes - nc_budget_free() : 0;
}

size_t nc_budget_peak(void) {
    const nc_card *card = nc_card_get();
    return card ? card->context_bytes + __atomic_load_n(&most_bytes, __ATOMIC_RELAXED) : 0;
}
