/* What the machine's cards are, read from NANOCHECK_CARD the first time CUDA asks for one.
 *
 * A fork server preloads PyTorch before any card is chosen, so nothing is read at load time; there the
 * variable says "pending". PyTorch remembers how many cards it once saw, so a pending one counts.
 * The text is "key=value" pairs joined by newlines, an empty line between kinds of cards; the Python beside csrc/
 * writes it. Cards that no kind counts are like the last.
 */
#include "base/card.h"
#include "base/locks.h"
#include "base/machine.h"
#include "base/report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static nc_card kinds[NC_CARDS_MOST];
static int kind_count;
static bool ready;

typedef enum { IS_INT, IS_SIZE } kind;
static const struct {
    const char *key;
    size_t offset;
    kind kind;
} FIELDS[] = {
    {"total_bytes", offsetof(nc_card, total_bytes), IS_SIZE},
    {"context_bytes", offsetof(nc_card, context_bytes), IS_SIZE},
    {"reserve_bytes", offsetof(nc_card, reserve_bytes), IS_SIZE},
    {"copy_limit_bytes", offsetof(nc_card, copy_limit_bytes), IS_SIZE},
    {"major", offsetof(nc_card, major), IS_INT},
    {"minor", offsetof(nc_card, minor), IS_INT},
    {"sms", offsetof(nc_card, sms), IS_INT},
    {"threads_per_sm", offsetof(nc_card, threads_per_sm), IS_INT},
    {"blocks_per_sm", offsetof(nc_card, blocks_per_sm), IS_INT},
    {"registers_per_sm", offsetof(nc_card, registers_per_sm), IS_INT},
    {"shared_per_block", offsetof(nc_card, shared_per_block), IS_INT},
    {"shared_per_block_optin", offsetof(nc_card, shared_per_block_optin), IS_INT},
    {"shared_per_sm", offsetof(nc_card, shared_per_sm), IS_INT},
    {"l2_bytes", offsetof(nc_card, l2_bytes), IS_INT},
    {"bus_bits", offsetof(nc_card, bus_bits), IS_INT},
    {"clock_khz", offsetof(nc_card, clock_khz), IS_INT},
    {"memory_khz", offsetof(nc_card, memory_khz), IS_INT},
    /* of a machine with several, and of one that is not like this; what is missing is one card, or 0 */
    {"cards", offsetof(nc_card, cards), IS_INT},
    {"links", offsetof(nc_card, links), IS_INT},
    {"peers", offsetof(nc_card, peers), IS_INT},
    {"stand_in", offsetof(nc_card, stand_in), IS_INT},
};
enum { FIELD_COUNT = sizeof FIELDS / sizeof *FIELDS, NEEDED = FIELD_COUNT - 4 };

static void set_field(nc_card *card, const char *key, const char *value, bool *seen) {
    if (!strcmp(key, "name")) {
        snprintf(card->name, sizeof card->name, "%s", value);
        return;
    }
    for (int i = 0; i < FIELD_COUNT; i++) {
        if (strcmp(key, FIELDS[i].key)) continue;
        char *end;
        unsigned long long number = strtoull(value, &end, 10);
        if (*end || end == value) nc_fatal("NANOCHECK_CARD: %s=%s is not a number", key, value);
        if (FIELDS[i].kind == IS_SIZE) *(size_t *)((char *)card + FIELDS[i].offset) = number;
        else *(int *)((char *)card + FIELDS[i].offset) = (int)number;
        seen[i] = true;
        return;
    }
    nc_fatal("NANOCHECK_CARD: unknown key %s", key);
}

static void complete(const bool *seen) {
    for (int i = 0; i < NEEDED; i++)
        if (!seen[i]) nc_fatal("NANOCHECK_CARD: %s is missing", FIELDS[i].key);
}

static void read_cards(const char *text) {
    bool seen[FIELD_COUNT] = {false}, within = false;
    char *copy = strdup(text), *rest = copy, *line;
    if (!copy) nc_fatal("NANOCHECK_CARD: out of memory");
    while ((line = strsep(&rest, "\n"))) {
        char *value = strchr(line, '=');
        if (!*line) {
            if (within) complete(seen);
            within = false;
            continue;
        }
        if (!value) nc_fatal("NANOCHECK_CARD: expected key=value, found %s", line);
        if (!within) {
            if (kind_count == NC_CARDS_MOST) nc_fatal("NANOCHECK_CARD: more than %d kinds", NC_CARDS_MOST);
            kinds[kind_count++] = (nc_card){.cards = 1};
            memset(seen, 0, sizeof seen);
            within = true;
        }
        *value++ = 0;
        set_field(&kinds[kind_count - 1], line, value, seen);
    }
    free(copy);
    if (within || !kind_count) complete(seen);
}

static bool chosen(void) {
    if (__atomic_load_n(&ready, __ATOMIC_ACQUIRE)) return true;
    nc_lock(NC_LOCK_CARD);
    const char *text = getenv("NANOCHECK_CARD");
    if (!ready && text && *text && strcmp(text, "pending")) {
        read_cards(text);
        __atomic_store_n(&ready, true, __ATOMIC_RELEASE);
    }
    bool there = ready;
    nc_unlock(NC_LOCK_CARD);
    return there;
}

const nc_card *nc_card_of(int slot) {
    int kind = 0;
    if (!chosen()) return NULL;
    while (kind < kind_count - 1 && slot >= kinds[kind].cards) slot -= kinds[kind++].cards;
    return &kinds[kind];
}

const nc_card *nc_card_get(void) {
    if (!chosen()) return NULL;
    return kind_count == 1 ? kinds : nc_card_of(nc_machine_here());
}
