/* The machine's cards: NANOCHECK_CARDS of them, and those that CUDA_VISIBLE_DEVICES names.
 *
 * CUDA's rules for the variable: numbers by commas; what follows the first that is no card is not seen; a card that
 * is named twice leaves none; and it is read once, so a program that sets it later, for its children, keeps its cards.
 */
#include "base/machine.h"
#include "base/locks.h"
#include <stdlib.h>
#include <string.h>

static int slots[NC_CARDS_MOST], visible;
static bool ready;
static __thread int current;

int nc_machine_all(void) {
    const char *card = getenv("NANOCHECK_CARD"), *text = getenv("NANOCHECK_CARDS");
    if (!card || !*card) return 0;
    int cards = text ? atoi(text) : 1;
    return cards < 1 ? 1 : cards > NC_CARDS_MOST ? NC_CARDS_MOST : cards;
}

static bool named(const int *found, int count, long slot) {
    for (int i = 0; i < count; i++)
        if (found[i] == slot) return true;
    return false;
}

static int read_visible(int cards, int found[NC_CARDS_MOST]) {
    const char *at = getenv("CUDA_VISIBLE_DEVICES");
    int count = 0;
    if (!at || cards <= 1) { /* with one card the variable is our own affair */
        for (; count < cards; count++) found[count] = count;
        return count;
    }
    while (*at && count < NC_CARDS_MOST) {
        char *end;
        long slot = strtol(at, &end, 10);
        if (end == at || slot < 0 || slot >= cards) break;
        if (named(found, count, slot)) return 0;
        found[count++] = (int)slot;
        if (*end != ',') break;
        at = end + 1;
    }
    return count;
}

/* Read at the first question after a card was chosen: a fork server answers before that ("pending"). */
static void look(void) {
    const char *card = getenv("NANOCHECK_CARD");
    if (__atomic_load_n(&ready, __ATOMIC_ACQUIRE)) return;
    nc_lock(NC_LOCK_CARD);
    if (!ready) visible = read_visible(nc_machine_all(), slots);
    if (card && *card && strcmp(card, "pending")) __atomic_store_n(&ready, true, __ATOMIC_RELEASE);
    nc_unlock(NC_LOCK_CARD);
}

int nc_machine_cards(void) {
    look();
    return visible;
}

bool nc_machine_has(int ordinal) { return ordinal >= 0 && ordinal < nc_machine_cards(); }

int nc_machine_slot(int ordinal) { return nc_machine_has(ordinal) ? slots[ordinal] : 0; }

int nc_machine_ordinal(int slot) {
    int cards = nc_machine_cards();
    for (int i = 0; i < cards; i++)
        if (slots[i] == slot) return i;
    return -1;
}

int nc_machine_current(void) { return current; }
void nc_machine_use(int ordinal) { current = ordinal; }
int nc_machine_here(void) { return nc_machine_slot(current); }
