/* Messages between ranks.
 *
 * Each member has a ring of headers, which say what it calls, and a ring of bytes for those contents that it knows.
 * Who posts never waits for readers, unless bytes that nobody has read yet stand in the way; a header without bytes
 * is overwritten, and whoever comes that late finds the contents unknown, as they were.
 * A word is published after what it stands for (`number` after the header, `posted` after `number`), and a reader
 * looks at `number` again after it has read the header. Bytes stay until all have said `done`.
 */
#include "work/exchange.h"
#include "base/locks.h"
#include <string.h>

static bool gone(const nc_member *member) { return NC_READ(member->state) >= NC_HAS_LEFT; }

/* How many messages all others have read; `who` is the slowest. */
static uint64_t all_read(const nc_exchange *x, int *who) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < x->members; i++) {
        const nc_member *member = nc_member_of(x, i);
        uint64_t done = i == x->own || gone(member) ? UINT64_MAX : NC_READ(member->done);
        if (done >= least) continue;
        least = done;
        *who = i;
    }
    return least;
}

static void reclaim(nc_exchange *x) { /* under the lock */
    int who;
    for (uint64_t read = all_read(x, &who); x->reclaimed < x->last; x->reclaimed++) {
        const nc_header *header = nc_header_of(x, x->own, x->reclaimed + 1);
        if (NC_READ(header->known) && read <= x->reclaimed) return;
        x->tail = NC_READ(header->end);
    }
    x->head = x->tail = 0; /* from the start, so that the file stays small */
}

static size_t whole(size_t bytes) {
    return (bytes + 15) / 16 * 16;
} /* each piece is aligned for any number */

/* Where so many bytes lie in one piece, as an offset of the ring; false: there is no room now. */
static bool place(nc_exchange *x, size_t bytes, uint64_t *at) {
    reclaim(x);
    uint64_t left = NC_PAYLOAD - x->head % NC_PAYLOAD;
    *at = bytes > left ? x->head + left : x->head;
    return x->last - x->reclaimed < NC_HEADERS && *at + bytes - x->tail <= NC_PAYLOAD;
}

uint64_t nc_exchange_post(nc_exchange *x, nc_part part) {
    uint64_t at, number = 0;
    nc_member *me = nc_member_of(x, x->own);
    nc_lock(NC_LOCK_EXCHANGE);
    if (place(x, whole(part.known), &at)) {
        number = ++x->last;
        nc_header *header = nc_header_of(x, x->own, number);
        NC_WRITE(header->number, 0);
        memcpy(nc_payload_of(x, x->own) + at % NC_PAYLOAD, part.at, part.known);
        NC_WRITE(header->terms.operation, part.terms.operation);
        NC_WRITE(header->terms.type, part.terms.type);
        NC_WRITE(header->terms.reduction, part.terms.reduction);
        NC_WRITE(header->terms.root, part.terms.root);
        NC_WRITE(header->terms.count, part.terms.count);
        NC_WRITE(header->known, part.known);
        NC_WRITE(header->at, at % NC_PAYLOAD);
        NC_WRITE(header->end, x->head = at + whole(part.known));
        NC_WRITE(header->origin, part.origin);
        NC_WRITE(header->number, number);
        NC_WRITE(me->posted, number);
        nc_exchange_ring(me);
    }
    nc_unlock(NC_LOCK_EXCHANGE);
    return number;
}

uint64_t nc_exchange_next(nc_exchange *x) { return __atomic_add_fetch(&x->read, 1, __ATOMIC_RELAXED); }

bool nc_exchange_look(nc_exchange *x, int member, uint64_t number, nc_part *part) {
    const nc_header *header = nc_header_of(x, member, number);
    if (NC_READ(nc_member_of(x, member)->posted) < number) return false;
    bool stands = NC_READ(header->number) == number;
    *part = (nc_part){{NC_READ(header->terms.operation), NC_READ(header->terms.type),
                       NC_READ(header->terms.reduction), NC_READ(header->terms.root),
                       NC_READ(header->terms.count)},
                      nc_payload_of(x, member) + NC_READ(header->at),
                      NC_READ(header->known),
                      (nc_origin)NC_READ(header->origin)};
    if (!stands || NC_READ(header->number) != number) *part = (nc_part){.known = 0};
    return true;
}

void nc_exchange_done(nc_exchange *x, uint64_t number) {
    nc_member *me = nc_member_of(x, x->own);
    uint64_t was = NC_READ(me->done);
    while (
        was < number
        && !__atomic_compare_exchange_n(&me->done, &was, number, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
    nc_exchange_ring(me);
}

nc_absence nc_exchange_room(nc_exchange *x, int *who) {
    *who = x->own;
    nc_lock(NC_LOCK_EXCHANGE);
    reclaim(x);
    uint64_t needed = x->reclaimed < x->last ? x->reclaimed + 1 : 0, read = all_read(x, who);
    nc_unlock(NC_LOCK_EXCHANGE);
    return read >= needed ? NC_CAME : nc_exchange_await(x, *who, needed, NC_DONE);
}
