/* The machine's cards: NANOCHECK_CARDS of them, all of NANOCHECK_CARD's kind, and those CUDA_VISIBLE_DEVICES names.
 *
 * CUDA's rule for the variable: numbers by commas, and what follows the first that is no card is not seen.
 */
#include "base/machine.h"
#include "base/card.h"
#include <stdlib.h>

enum { MOST = 64 };

static int machine(void) {
    const char *text = getenv("NANOCHECK_CARDS");
    int cards = text ? atoi(text) : 1;
    return cards < 1 ? 1 : cards > MOST ? MOST : cards;
}

/* Fills the slots of the visible cards; their number. */
static int visible(int slots[MOST]) {
    int cards = machine(), found = 0;
    const char *at = getenv("CUDA_VISIBLE_DEVICES");
    if (!at || cards == 1) { /* with one card the variable is our own affair */
        for (; found < cards; found++) slots[found] = found;
        return found;
    }
    while (*at && found < MOST) {
        char *end;
        long slot = strtol(at, &end, 10);
        if (end == at || slot < 0 || slot >= cards) break;
        slots[found++] = (int)slot;
        at = *end == ',' ? end + 1 : end;
        if (at == end && *end) break;
    }
    return found;
}

int nc_machine_cards(void) {
    int slots[MOST];
    return nc_card_get() || nc_card_pending() ? visible(slots) : 0;
}

bool nc_machine_has(int ordinal) { return ordinal >= 0 && ordinal < nc_machine_cards(); }

int nc_machine_slot(int ordinal) {
    int slots[MOST];
    int cards = visible(slots);
    return ordinal >= 0 && ordinal < cards ? slots[ordinal] : 0;
}
