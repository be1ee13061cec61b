/* The card of this process, read from NANOCHECK_CARD the first time CUDA asks for it.
 *
 * A fork server preloads PyTorch before any card is chosen, so nothing is read at load time; there the
 * variable says "pending". PyTorch remembers how many cards it once saw, so a pending one counts.
 * The text is "key=value" pairs joined by newlines; the Python beside csrc/ writes it.
 */
#include "base/card.h"
#include "base/locks.h"
#include "base/report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static nc_card card;
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
};
enum { FIELD_COUNT = sizeof FIELDS / sizeof *FIELDS };

static void set_field(const char *key, const char *value, bool *seen) {
    if (!strcmp(key, "name")) {
        snprintf(card.name, sizeof card.name, "%s", value);
        return;
    }
    for (int i = 0; i < FIELD_COUNT; i++) {
        if (strcmp(key, FIELDS[i].key)) continue;
        char *end;
        unsigned long long number = strtoull(value, &end, 10);
        if (*end || end == value) nc_fatal("NANOCHECK_CARD: %s=%s is not a number", key, value);
        if (FIELDS[i].kind == IS_SIZE) *(size_t *)((char *)&card + FIELDS[i].offset) = number;
        else *(int *)((char *)&card + FIELDS[i].offset) = (int)number;
        seen[i] = true;
        return;
    }
    nc_fatal("NANOCHECK_CARD: unknown key %s", key);
}

static void read_card(const char *text) {
    bool seen[FIELD_COUNT] = {false};
    char *copy = strdup(text), *rest = copy, *line;
    if (!copy) nc_fatal("NANOCHECK_CARD: out of memory");
    while ((line = strsep(&rest, "\n"))) {
        char *value = strchr(line, '=');
        if (!*line) continue;
        if (!value) nc_fatal("NANOCHECK_CARD: expected key=value, found %s", line);
        *value++ = 0;
        set_field(line, value, seen);
    }
    free(copy);
    for (int i = 0; i < FIELD_COUNT; i++)
        if (!seen[i]) nc_fatal("NANOCHECK_CARD: %s is missing", FIELDS[i].key);
}

const nc_card *nc_card_get(void) {
    if (__atomic_load_n(&ready, __ATOMIC_ACQUIRE)) return &card;
    nc_lock(NC_LOCK_CARD);
    const char *text = getenv("NANOCHECK_CARD");
    if (!ready && text && *text && strcmp(text, NC_PENDING)) {
        read_card(text);
        __atomic_store_n(&ready, true, __ATOMIC_RELEASE);
    }
    bool chosen = ready;
    nc_unlock(NC_LOCK_CARD);
    return chosen ? &card : NULL;
}

bool nc_card_pending(void) {
    const char *text = getenv("NANOCHECK_CARD");
    return text && !strcmp(text, NC_PENDING);
}
