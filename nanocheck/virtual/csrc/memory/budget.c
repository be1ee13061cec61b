/* The card's memory budget: the one place where bytes of the card are taken and given back. */
#include "memory/budget.h"
#include "base/card.h"
#include "base/locks.h"
#include "base/report.h"
#include "memory/shown.h"

/* Granules handed out by cudaMalloc and cuMemCreate; the most at once. */
static size_t used_bytes, most_bytes;

static size_t offered(const nc_card *card) { /* by context and others, who came first */
    size_t others = card->context_bytes + card->reserve_bytes;
    return card->total_bytes > others ? card->total_bytes - others : 0;
}

bool nc_budget_take(size_t bytes) {
    const nc_card *card = nc_card_get();
    if (!card) return false;
    nc_lock(NC_LOCK_BUDGET);
    size_t most = offered(card);
    bool fits = used_bytes <= most && bytes <= most - used_bytes; /* no sum of these can go over 2^64 */
    if (fits) used_bytes += bytes;
    if (used_bytes > most_bytes) __atomic_store_n(&most_bytes, used_bytes, __ATOMIC_RELAXED);
    nc_shown_set(card->context_bytes + used_bytes);
    nc_unlock(NC_LOCK_BUDGET);
    return fits;
}

void nc_budget_give(size_t bytes) {
    nc_lock(NC_LOCK_BUDGET);
    if (bytes > used_bytes) nc_fatal("%zu bytes of the card came back, %zu were taken", bytes, used_bytes);
    used_bytes -= bytes;
    nc_shown_set(nc_card_get()->context_bytes + used_bytes);
    nc_unlock(NC_LOCK_BUDGET);
}

size_t nc_budget_free(void) {
    nc_lock(NC_LOCK_BUDGET);
    size_t most = offered(nc_card_get()), left = most > used_bytes ? most - used_bytes : 0;
    nc_unlock(NC_LOCK_BUDGET);
    return left;
}

size_t nc_budget_process(void) {
    const nc_card *card = nc_card_get();
    return card ? card->total_bytes - card->reserve_bytes - nc_budget_free() : 0;
}

size_t nc_budget_peak(void) {
    const nc_card *card = nc_card_get();
    return card ? card->context_bytes + __atomic_load_n(&most_bytes, __ATOMIC_RELAXED) : 0;
}
