/* Which memory of the card holds what the program wrote itself. */
#ifndef NANOCHECK_KNOWN_H
#define NANOCHECK_KNOWN_H
#include "base/base.h"

/* Where known bytes are from; of several the last one stands for all. */
typedef enum {
    NC_WRITTEN, /* the program wrote them, or the host computed them of such */
    NC_FOLLOWS, /* they would be these whatever finite numbers a kernel had computed */
    NC_GUESSED  /* a rule says so: nobody computed it */
} nc_origin;
NC_HIDDEN void nc_known_set(const void *to, size_t bytes, nc_origin origin);
/* Somebody computes what lies from here on. */
NC_HIDDEN void nc_known_lose(const void *at);
NC_HIDDEN void nc_known_lose_all(void);
/* These bytes are written with what nobody knows. */
NC_HIDDEN void nc_known_lose_range(const void *at, size_t bytes);
/* The same as lose, by an address that may be a leftover of another launch. */
NC_HIDDEN void nc_known_doubt(const void *at);
/* Against doubts, until it is written anew. */
NC_HIDDEN void nc_known_keep(const void *at);
NC_HIDDEN void nc_known_keep_range(const void *at, size_t bytes);
NC_HIDDEN void nc_known_copy(const void *to, const void *from, size_t bytes);
NC_HIDDEN void nc_known_drop(const void *at, size_t bytes);     /* the memory is given back */
NC_HIDDEN bool nc_known_all(const void *at, size_t bytes);      /* true, too, outside the card */
NC_HIDDEN size_t nc_known_prefix(const void *at, size_t bytes); /* how many of these, from the first one on */
NC_HIDDEN nc_origin nc_known_origin(const void *at);

#endif
