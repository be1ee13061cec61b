/* Which memory a kernel overwrites when it is launched: the parameters that effects.c has found in its name. */
#include "values/writes.h"
#include "memory/arena.h"
#include "values/known.h"
#include "values/parameters.h"
#include "values/predicates.h"

enum { WORD = sizeof(void *), STRUCTURE = 256, CLOSURE = 2048, METADATA = 4096, UNNAMED = 24, REDUCED = 5 };

static void lose_word(const char *at) {
    void *address = nc_address_at(at);
    if (address) nc_known_lose(address);
}

static void lose_parameter(const nc_writes *w, void **arguments, int i) {
    char room[METADATA];
    const char *found;
    nc_bytes in;
    switch ((nc_effect)w->effects[i]) {
    case NC_READ: break;
    case NC_POINTER:
    case NC_HEAD: lose_word(arguments[i]); break;
    case NC_FIRST: nc_each_in(nc_parameter(w, arguments, i, CLOSURE, room), 1, nc_known_lose); break;
    case NC_FIRST_TWO: nc_each_in((nc_bytes){arguments[i], 2 * WORD}, 2, nc_known_lose); break;
    case NC_AFTER_FIRST:
        in = nc_parameter(w, arguments, i, CLOSURE, room);
        found = nc_source_in(in);
        if (found) nc_each_in((nc_bytes){found + WORD, REDUCED * WORD}, REDUCED, nc_known_lose);
        else nc_each_in(in, CLOSURE, nc_known_doubt);
        break;
    case NC_STRIDED:
        in = nc_parameter(w, arguments, i, CLOSURE, room);
        found = nc_output_in(in);
        if (found) lose_word(found);
        else nc_each_in(in, CLOSURE, nc_known_doubt);
        break;
    case NC_KEEP: /* found_inf, inv_scale */
        nc_each_in(nc_parameter(w, arguments, i, STRUCTURE, room), 2, nc_known_keep);
        break;
    case NC_EVERY:
        nc_each_in(nc_parameter(w, arguments, i, STRUCTURE, room), NC_PARAMETERS, nc_known_doubt);
        break;
    case NC_LIST: nc_each_in(nc_parameter(w, arguments, i, METADATA, room), METADATA, nc_known_doubt); break;
    }
}

/* Nothing says how many parameters there are: as far as there is memory. What lies behind the last one may look like
 * one more, and what it then points to is unknown, too. */
static void lose_unnamed(void **arguments, size_t most, void (*act)(const void *)) {
    char array_room[UNNAMED * WORD], room[STRUCTURE];
    nc_bytes array = nc_readable(arguments, sizeof array_room, array_room);
    for (size_t i = 0; i + WORD <= array.bytes; i += WORD) {
        void *parameter = nc_pointer_at(array.at + i);
        if (nc_arena_of(parameter) == NC_DEVICE)
            return; /* the launcher's own variable: parameters are the host's */
        nc_bytes value = nc_readable(parameter, most, room);
        if (!value.bytes) return;
        nc_each_in(value, (int)most, act);
    }
}

void nc_writes_lose(const nc_writes *w, void **arguments) {
    if (!arguments) return;
    if (!w || w->unnamed) lose_unnamed(arguments, STRUCTURE, nc_known_doubt);
    for (int i = 0; w && i < w->count; i++)
        if (arguments[i]) lose_parameter(w, arguments, i);
}

/* What it writes and reads first: its output and up to two inputs, in the order of a TensorIterator. */
static bool operands(const nc_writes *w, void **arguments, char *data[3]) {
    if (w->count == 1) {
        char room[CLOSURE];
        const char *source = nc_source_in(nc_parameter(w, arguments, 0, CLOSURE, room));
        if (!source) return false;
        data[0] = nc_address_at(source + WORD);
        data[1] = nc_address_at(source);
        return true;
    }
    if (w->count < 3 || w->effects[2] != NC_FIRST) return false;
    for (int i = 0; i < 3; i++)
        if (i < w->predicate.operands) data[i] = nc_address_at((const char *)arguments[2] + (size_t)i * WORD);
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

void nc_writes_lose_unnamed(void **arguments) { lose_unnamed(arguments, WORD, nc_known_lose); }

/* The other way to hand parameters over: all of them packed in one buffer, whose size is told. */
void nc_writes_lose_packed(void **extra) {
    nc_bytes buffer = {NULL, 0};
    for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
        if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER) buffer.at = extra[1];
        else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE) buffer.bytes = *(size_t *)extra[1];
        else return;
    }
    if (buffer.at) nc_each_in(buffer, METADATA, nc_known_lose);
}
