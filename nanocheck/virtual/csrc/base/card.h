/* Which card this process has. */
#ifndef NANOCHECK_CARD_H
#define NANOCHECK_CARD_H
#include "base/base.h"

typedef struct {
    char name[128];
    size_t total_bytes;      /* what CUDA reports as the card's memory */
    size_t context_bytes;    /* CUDA context and modules, outside every allocator */
    size_t reserve_bytes;    /* held by others: a desktop, another process */
    size_t copy_limit_bytes; /* larger transfers to the card are not carried out */
    int major, minor, sms;
    int threads_per_sm, blocks_per_sm, registers_per_sm;
    int shared_per_block, shared_per_block_optin, shared_per_sm;
    int l2_bytes, bus_bits, clock_khz, memory_khz;
} nc_card;
NC_HIDDEN const nc_card *nc_card_get(void); /* NULL while no card has been chosen */
#define NC_PENDING "pending" /* a card will be chosen before anything but its number is asked for */
NC_HIDDEN bool nc_card_pending(void);
NC_HIDDEN int nc_attribute(int attribute);

#endif
