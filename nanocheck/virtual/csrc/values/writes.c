/* Which memory a kernel overwrites when it is launched: the parameters that effects.c has found in its name. */
#include "values/writes.h"
#include "values/known.h"
#include "values/parameters.h"
#include "values/predicates.h"

enum { STRUCTURE = 256, CLOSURE = 2048, METADATA = 4096, UNNAMED = 24, REDUCED = 5 };

void nc_writes_lose(const nc_writes *w, void **arguments) {
    if (!w || !arguments) return;
    for (int i = 0; i < w->count; i++) {
        const char *at = arguments[i], *found;
        if (!at) continue;
        switch ((nc_effect)w->effects[i]) {
        case NC_READ: break;
        case NC_POINTER:
        case NC_HEAD: nc_each_in(at, sizeof(void *), 1, nc_known_lose); break;
        case NC_FIRST: nc_each_in(at, nc_reach(w, arguments, i, CLOSURE), 1, nc_known_lose); break;
        case NC_FIRST_TWO: nc_each_in(at, 2 * sizeof(void *), 2, nc_known_lose); break;
        case NC_AFTER_FIRST:
            found = nc_source_in(at, nc_reach(w, arguments, i, CLOSURE));
            if (found) nc_each_in(found + sizeof(void *), REDUCED * sizeof(void *), REDUCED, nc_known_lose);
            else nc_each_in(at, nc_reach(w, arguments, i, CLOSURE), CLOSURE, nc_known_doubt);
            break;
        case NC_STRIDED:
            found = nc_output_in(at, nc_reach(w, arguments, i, CLOSURE));
            if (found) nc_each_in(found, sizeof(void *), 1, nc_known_lose);
            else nc_each_in(at, nc_reach(w, arguments, i, CLOSURE), CLOSURE, nc_known_doubt);
            break;
        case NC_KEEP:
            nc_each_in(at, nc_reach(w, arguments, i, STRUCTURE), 2, nc_known_keep);
            break; /* found_inf, inv_scale */
        case NC_EVERY:
            nc_each_in(at, nc_reach(w, arguments, i, STRUCTURE), NC_PARAMETERS, nc_known_doubt);
            break;
        case NC_LIST: nc_each_in(at, nc_reach(w, arguments, i, METADATA), METADATA, nc_known_doubt); break;
        }
    }
}

/* What it writes and reads first: its output and up to two inputs, in the order of a TensorIterator. */
static bool operands(const nc_writes *w, void **arguments, char *data[3]) {
    if (w->count == 1) {
        const char *source = nc_source_in(arguments[0], nc_reach(w, arguments, 0, CLOSURE));
        if (!source) return false;
        data[0] = nc_word_at(source + sizeof(void *));
        data[1] = nc_word_at(source);
        return true;
    }
    if (w->count < 3 || w->effects[2] != NC_FIRST) return false;
    for (int i = 0; i < 3; i++)
        if (i < w->predicate.operands)
            data[i] = nc_word_at((const char *)arguments[2] + (size_t)i * sizeof(void *));
    return data[0] && data[1] && (data[2] || w->predicate.operands < 3);
}

void nc_writes_run(const nc_writes *w, void **arguments) {
    char *data[3] = {0};
    nc_answer answer = {0};
    if (w && arguments && w->predicate.rule && operands(w, arguments, data))
        answer = nc_predicate_answer(&w->predicate, arguments, data);
    nc_writes_lose(w, arguments);
    nc_answer_write(&answer);
}

/* Triton's launcher and its kin keep one word per parameter on the stack; nothing says how many. */
void nc_writes_lose_unnamed(void **arguments) {
    uintptr_t mine = (uintptr_t)&arguments;
    if ((uintptr_t)arguments < mine || (uintptr_t)arguments - mine > 1 << 16) return;
    for (int i = 0; arguments && i < UNNAMED; i++) {
        uintptr_t at = (uintptr_t)arguments[i];
        if (at < mine || at - mine > 1 << 16) return;
        nc_each_in(arguments[i], sizeof(void *), 1, nc_known_lose);
    }
}
