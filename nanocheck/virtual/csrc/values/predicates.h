/* Comparisons and their like, answered as if what nobody computed were ones. */
#ifndef NANOCHECK_PREDICATES_H
#define NANOCHECK_PREDICATES_H
#include "values/known.h"
#include "values/predicate_names.h"

typedef struct {
    char *to;
    size_t bytes;
    int yes;
    nc_origin origin;
} nc_answer;
NC_HIDDEN nc_answer nc_predicate_answer(const nc_predicate *p, void **arguments, char *const *data);
NC_HIDDEN void nc_answer_write(const nc_answer *answer); /* nothing, where it has no bytes */

#endif
