/* Which memory of the card holds what the program wrote itself: known.c keeps it, writes.c finds what kernels
 * overwrite, predicates.c answers the yes-or-no kernels. And what other processes may see: shared.c. */
#ifndef NANOCHECK_KNOWN_H
#define NANOCHECK_KNOWN_H
#include "nc.h"

/* ---- arena.c ---- */
#define NC_ARENA_SPAN \
    ((size_t)1 << 43) /* 8 TiB of addresses per arena: hundreds of full turnovers of any card */
NC_HIDDEN size_t
nc_arena_offset(const void *address); /* into the device arena's part in use; SIZE_MAX: elsewhere */

/* ---- shared.c ---- */
NC_HIDDEN void nc_shared_show(size_t bytes); /* what this process holds, to nvidia-smi */

/* ---- known.c ---- */
NC_HIDDEN void nc_known_set(const void *to, size_t bytes,
                            bool guessed);    /* written with a value; guessed: nobody computed it */
NC_HIDDEN void nc_known_lose(const void *at); /* somebody computes what lies from here on */
NC_HIDDEN void
nc_known_doubt(const void *at); /* the same, by an address that may be a leftover of another launch */
NC_HIDDEN void nc_known_keep(const void *at); /* against doubts, until it is written anew */
NC_HIDDEN void nc_known_copy(const void *to, const void *from, size_t bytes);
NC_HIDDEN void nc_known_drop(const void *at, size_t bytes); /* the memory is given back */
NC_HIDDEN bool nc_known_all(const void *at, size_t bytes);  /* true, too, outside the card */
NC_HIDDEN bool nc_known_guessed(const void *at);

/* ---- predicates.c: comparisons and their like, answered as if what nobody computed were ones ---- */
typedef struct {
    int rule, form, operands;
    char type;
    bool casts;
} nc_predicate;
typedef struct {
    char *to;
    size_t bytes;
    int yes;
    bool guessed;
} nc_answer;
NC_HIDDEN nc_predicate nc_predicate_of(const char *demangled); /* rule 0: not one */
NC_HIDDEN nc_answer nc_predicate_answer(const nc_predicate *p, void **arguments, char *const *data);
NC_HIDDEN void nc_answer_write(const nc_answer *answer); /* nothing, where it has no bytes */

/* ---- writes.c ---- */
typedef struct nc_writes nc_writes;
NC_HIDDEN nc_writes *nc_writes_of(const char *kernel_name); /* never NULL; found once per kernel, kept */
NC_HIDDEN void nc_writes_lose(const nc_writes *writes, void **arguments);
NC_HIDDEN void nc_writes_run(const nc_writes *writes,
                             void **arguments);          /* the same, and what predicates answer */
NC_HIDDEN void nc_writes_lose_unnamed(void **arguments); /* a kernel whose parameters nobody described */
#endif
