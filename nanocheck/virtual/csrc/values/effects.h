/* What a kernel does with each of its parameters: effects.c reads it from the name, writes.c acts on it. */
#ifndef NANOCHECK_EFFECTS_H
#define NANOCHECK_EFFECTS_H
#include "values/predicate_names.h"

enum { NC_PARAMETERS = 96 };
typedef enum {
    NC_READ,        /* holds no address that is written */
    NC_POINTER,     /* is an address */
    NC_HEAD,        /* a structure that begins with one */
    NC_FIRST,       /* the first address in it is written */
    NC_FIRST_TWO,   /* the first two */
    NC_AFTER_FIRST, /* a reduction: those after its source */
    NC_STRIDED,     /* a closure with its strides: the output's */
    NC_EVERY,       /* whatever looks like an address */
    NC_LIST,        /* a table of addresses */
    NC_KEEP         /* is left as it is */
} nc_effect;
typedef struct {
    nc_predicate predicate;
    bool unnamed; /* its name does not tell its parameters */
    int count;
    uint8_t effects[NC_PARAMETERS];
} nc_writes;
NC_HIDDEN nc_writes *nc_writes_of(const char *kernel_name); /* never NULL; found once per kernel, kept */

#endif
