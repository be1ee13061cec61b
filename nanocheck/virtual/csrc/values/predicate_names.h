/* Which predicate a kernel is. */
#ifndef NANOCHECK_PREDICATE_NAMES_H
#define NANOCHECK_PREDICATE_NAMES_H
#include "base/base.h"

enum { NC_EQUALITY = 1, NC_ORDER, NC_AND, NC_OR, NC_XOR, NC_NOT, NC_ANY, NC_ALL }; /* rules; 0: not one */
enum { NC_TENSORS, NC_SCALAR_LEFT, NC_SCALAR_RIGHT };                              /* forms */
typedef struct {
    int rule, form, operands;
    char type; /* of its elements, a letter */
    bool casts;
} nc_predicate;
NC_HIDDEN nc_predicate nc_predicate_of(const char *demangled);
/* Bytes of an element of this type. */
NC_HIDDEN int nc_type_bytes(char letter);

#endif
