/* What the machine's cards are. */
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
    int cards;    /* so many of the machine's, one after the other, are like this one */
    int links;    /* NVLinks to the machine's other cards; 0: they meet on PCI Express */
    int peers;    /* whether a card of this kind reads another's memory */
    int stand_in; /* 1: its machines are not like this one, and this build of PyTorch stands in for theirs */
} nc_card;
/* This thread's card; NULL while none has been chosen: NANOCHECK_CARD is not there, or "pending". */
NC_HIDDEN const nc_card *nc_card_get(void);
NC_HIDDEN const nc_card *nc_card_of(int slot);
NC_HIDDEN int nc_attribute_of(const nc_card *card, int attribute);

#endif
