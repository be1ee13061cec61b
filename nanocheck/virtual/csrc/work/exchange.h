/* Messages between ranks: what the program wrote itself reaches the others. */
#ifndef NANOCHECK_EXCHANGE_H
#define NANOCHECK_EXCHANGE_H
#include "values/known.h"
#include "work/exchange_wait.h"

enum {
    NC_EXCHANGED = 1 << 20
}; /* the most bytes of a rank in one message; of more, only the terms are said */
/* Of a message: its known first bytes. */
typedef struct {
    nc_terms terms;
    const char *at;
    size_t known;
    nc_origin origin;
} nc_part;

/* The message's number, from 1 on; 0: no room before the others have read (nc_exchange_room). */
NC_HIDDEN uint64_t nc_exchange_post(nc_exchange *exchange, nc_part part);
/* The number of the next message of the others, for a member that never posts. */
NC_HIDDEN uint64_t nc_exchange_next(nc_exchange *exchange);
/* Whether that member's message is there, without waiting. Its terms are all zero where it was overwritten since. */
NC_HIDDEN bool nc_exchange_look(nc_exchange *exchange, int member, uint64_t number, nc_part *part);
NC_HIDDEN void nc_exchange_done(nc_exchange *exchange, uint64_t number); /* all was read up to there */
/* Waits until the slowest has read what stands in the way; `who` of them does not come. */
NC_HIDDEN nc_absence nc_exchange_room(nc_exchange *exchange, int *who);

#endif
