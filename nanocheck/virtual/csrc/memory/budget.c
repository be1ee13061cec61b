/* Each card's memory budget: the one place where bytes of a card are taken and given back. */
#include "memory/budget.h"
#include "base/card.h"
#include "base/locks.h"
#include "base/machine.h"
#include "base/report.h"
#include "memory/occupants.h"
#include "memory/shown.h"
#include <pthread.h>
#include <unistd.h>

static struct {
    size_t used;    /* granules handed out by cudaMalloc and cuMemCreate */
    size_t most;    /* the most at once */
    size_t parents; /* of them, those that a fork left here: the parent holds them */
    bool entered;
} accounts[NC_CARDS_MOST]; /* under NC_LOCK_BUDGET */

static void forked(void) { /* locks.c holds the lock */
    for (int slot = 0; slot < NC_CARDS_MOST; slot++) {
        accounts[slot].parents = accounts[slot].used;
        accounts[slot].entered = false;
    }
}
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, forked); }

static size_t offered(const nc_card *card) { /* by others, who came first */
    return card->total_bytes > card->reserve_bytes ? card->total_bytes - card->reserve_bytes : 0;
}

static size_t own(int slot) {
    if (!accounts[slot].entered) return 0;
    size_t used = accounts[slot].used, parents = accounts[slot].parents;
    return nc_card_of(slot)->context_bytes + (used > parents ? used - parents : 0);
}

static size_t left(int slot) {
    size_t most = offered(nc_card_of(slot)), taken = own(slot) + nc_occupants_others(slot);
    return most > taken ? most - taken : 0;
}

static bool enter(int slot) {
    const nc_card *card = nc_card_of(slot);
    if (!accounts[slot].entered)
        accounts[slot].entered = nc_occupant_hold(slot, card->context_bytes, offered(card));
    return accounts[slot].entered;
}

bool nc_budget_enter(int slot) {
    nc_lock(NC_LOCK_BUDGET);
    bool there = enter(slot);
    nc_unlock(NC_LOCK_BUDGET);
    return there;
}

bool nc_budget_take(int slot, size_t bytes) {
    const nc_card *card = nc_card_of(slot);
    if (!card) return false;
    nc_lock(NC_LOCK_BUDGET);
    /* No sum of these can go over 2^64. */
    bool fits = enter(slot) && bytes <= SIZE_MAX - own(slot)
                && nc_occupant_hold(slot, own(slot) + bytes, offered(card));
    if (fits) accounts[slot].used += bytes;
    if (accounts[slot].used > accounts[slot].most) accounts[slot].most = accounts[slot].used;
    nc_shown_set(slot, own(slot));
    nc_unlock(NC_LOCK_BUDGET);
    return fits;
}

void nc_budget_give(int slot, size_t bytes) {
    nc_lock(NC_LOCK_BUDGET);
    if (bytes > accounts[slot].used)
        nc_fatal("%zu bytes of the card came back, %zu were taken", bytes, accounts[slot].used);
    accounts[slot].used -= bytes;
    if (accounts[slot].entered) {
        nc_occupant_hold(slot, own(slot), SIZE_MAX);
        nc_shown_set(slot, own(slot));
    }
    nc_unlock(NC_LOCK_BUDGET);
}

size_t nc_budget_free(int slot) {
    nc_lock(NC_LOCK_BUDGET);
    size_t bytes = enter(slot) ? left(slot) : 0;
    nc_unlock(NC_LOCK_BUDGET);
    return bytes;
}

size_t nc_budget_left(int slot) {
    nc_lock(NC_LOCK_BUDGET);
    size_t bytes = left(slot);
    nc_unlock(NC_LOCK_BUDGET);
    return bytes;
}

size_t nc_budget_process(int slot) {
    nc_lock(NC_LOCK_BUDGET);
    size_t bytes = own(slot);
    nc_unlock(NC_LOCK_BUDGET);
    return bytes;
}

size_t nc_budget_peak(int slot) {
    nc_lock(NC_LOCK_BUDGET);
    size_t bytes = accounts[slot].entered ? nc_card_of(slot)->context_bytes + accounts[slot].most : 0;
    nc_unlock(NC_LOCK_BUDGET);
    return bytes;
}

int nc_budget_list(int slot, unsigned *pids, size_t *bytes, int room) {
    nc_occupant found[256];
    nc_lock(NC_LOCK_BUDGET);
    int count = nc_occupants_list(slot, found, room < 256 ? room : 256);
    for (int i = 0; i < count; i++) {
        pids[i] = (unsigned)found[i].pid;
        bytes[i] = found[i].bytes;
    }
    if (!count && own(slot) && room) { /* nobody shares a card here: this process alone is known */
        pids[0] = (unsigned)getpid();
        bytes[0] = own(slot);
        count = 1;
    }
    nc_unlock(NC_LOCK_BUDGET);
    return count;
}
