/* Copies and memsets.
 *
 * Small ones are real, so labels, shapes and counters keep their values. Larger writes to the card
 * are left out: nothing computes with them, and an 80 GB card must fit in a small machine. Reads
 * from the card are always real, but for the counts below; memory that nobody wrote reads as zeros.
 */
#include "values/copies.h"
#include "base/card.h"
#include "base/counters.h"
#include "memory/arena.h"
#include "values/known.h"
#include "values/read_back.h"
#include <string.h>

bool nc_carried_out(const void *destination, size_t bytes) {
    const nc_card *card = nc_card_get();
    if (!nc_is_device(destination) || !card || bytes <= card->copy_limit_bytes) return true;
    nc_count(NC_COPIES_SKIPPED);
    nc_known_lose_range(destination, bytes);
    return false;
}

/* PyTorch reads counts for itself (nonzero, masks, unique) where nobody can say of what type the memory is: an
 * integer of four or eight bytes. What was told of it (read_back.c) stands before everything; a count that nobody
 * told and no kernel computed is one, never what an earlier tensor left. */
static const void *source(const void *from, size_t bytes) {
    static const int64_t ONE = 1; /* little endian, as the host */
    if (!nc_is_device(from)) return from;
    const void *told = nc_read_back_take(bytes);
    if (told) return told;
    if ((bytes != 4 && bytes != 8) || nc_known_all(from, bytes)) return from;
    nc_count(NC_SIZES_MADE_UP);
    return &ONE;
}

void nc_copy(void *to, const void *from, size_t bytes) {
    if (!bytes || !nc_carried_out(to, bytes)) return;
    if (!nc_is_device(to)) from = source(from, bytes);
    memmove(to, from, bytes);
    nc_known_copy(to, from, bytes);
}
