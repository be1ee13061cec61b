/* Yes and no: the few kernels that scripts branch on are answered, as if what nobody computed were ones.
 *
 * isnan is `x != x`, isinf `abs(x) == inf`, isfinite a product of the two (aten/src/ATen/native/
 * TensorCompare.cpp), torch.equal an eq and an all. So comparisons, their combination (and, or, not,
 * product of bool) and the reductions any and all are enough for "is anything wrong?" to be answered
 * "no", and for `while norm > 1` to end. What such a chain says nothing about stays open: any of it
 * is false, all of it true.
 *
 * The first element stands for the whole tensor: what the program wrote there, or one. Only where a
 * single element was compared, and was known, is the answer known. Nor is it a guess that a number equals itself
 * and is not infinite: that follows for every element if all are finite, and so do flags and counts made of such
 * answers (observe/values/healthy_answers.py). Everything else is a guess.
 */
#include "values/predicates.h"
#include "memory/arena.h"
#include "values/known.h"
#include <math.h>
#include <string.h>

enum { WRITTEN = 4096 }; /* of a larger answer nobody reads more before it is reduced */
enum { NO, YES, OPEN };
typedef struct {
    double value;
    nc_origin origin;
} element;

static double number(const char *at, char type) {
    union {
        uint8_t h;
        int8_t a;
        int16_t s;
        int32_t i;
        int64_t l;
        float f;
        double d;
        uint16_t bits;
    } u = {0};
    memcpy(&u, at, (size_t)nc_type_bytes(type));
    switch (type) {
    case 'b': return u.h != 0;
    case 'h': return u.h;
    case 'a': return u.a;
    case 's': return u.s;
    case 'i': return u.i;
    case 'l': return (double)u.l;
    case 'f': return u.f;
    case 'd': return u.d;
    case 'B': {
        uint32_t wide = (uint32_t)u.bits << 16;
        memcpy(&u.f, &wide, sizeof u.f);
        return u.f;
    }
    default: { /* Half: sign, five bits of exponent, ten of fraction */
        int exponent = u.bits >> 10 & 31, fraction = u.bits & 1023;
        double size = exponent == 31 ? (fraction ? NAN : INFINITY)
                      : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                     : ldexp(fraction, -24);
        return u.bits & 0x8000 ? -size : size;
    }
    }
}

static element first(const char *at, char type, bool casts) {
    if (casts || !nc_is_device(at) || !nc_known_all(at, (size_t)nc_type_bytes(type)))
        return (element){1, NC_GUESSED};
    return (element){number(at, type), nc_known_origin(at)};
}

static int open_or(const char *at, char type, bool casts) { /* truth of a first element */
    if (type == 'b' && (casts || !nc_known_all(at, 1))) return OPEN;
    return first(at, type, casts).value != 0;
}

static nc_origin weaker(nc_origin a, nc_origin b) { return a > b ? a : b; }

/* Of the truth of a tensor's elements, of which the first one was looked at; `count`: how many there are. */
static nc_origin origin_of(const char *at, char type, bool casts, int count) {
    nc_origin origin = first(at, type, casts).origin;
    return origin == NC_WRITTEN && count > 1 ? NC_GUESSED : origin;
}

/* A number that nobody computed, beside itself or an infinity. */
static bool of_finite(const nc_predicate *p, element a, element b, char *const *data) {
    if (a.origin == NC_WRITTEN || !isfinite(a.value)) return false;
    return p->form == NC_TENSORS ? p->rule == NC_EQUALITY && data[1] == data[2] : isinf(b.value);
}

static int compare(const nc_predicate *p, int operation, double a, double b) {
    if (p->rule == NC_EQUALITY) return operation ? a != b : a == b;
    return operation == 0 ? a >= b : operation == 1 ? a > b : operation == 2 ? a <= b : a < b;
}

static int combine(int rule, int a, int b) {
    switch (rule) {
    case NC_AND: return a == NO || b == NO ? NO : a == OPEN || b == OPEN ? OPEN : YES;
    case NC_OR: return a == YES || b == YES ? YES : a == OPEN || b == OPEN ? OPEN : NO;
    case NC_XOR: return a == OPEN || b == OPEN ? OPEN : a != b;
    default: return a == OPEN ? OPEN : !a;
    }
}

/* `data` are the addresses a kernel was given: what it writes, then what it reads. */
nc_answer nc_predicate_answer(const nc_predicate *p, void **arguments, char *const *data) {
    if (p->rule == NC_ANY || p->rule == NC_ALL) {
        int of = p->type ? open_or(data[1], p->type, false) : YES;
        bool follows = p->type == 'b' && first(data[1], p->type, false).origin == NC_FOLLOWS;
        return (nc_answer){data[0], 1, of == OPEN ? p->rule == NC_ALL : of,
                           follows ? NC_FOLLOWS : NC_GUESSED};
    }
    int count, result;
    nc_origin origin;
    memcpy(&count, arguments[0], sizeof count);
    if (p->rule == NC_EQUALITY || p->rule == NC_ORDER) {
        element a = first(data[1], p->type, p->casts), b = a;
        int operation, wide = nc_type_bytes(p->type) == 8 ? 8 : 4;
        memcpy(&operation, arguments[1], sizeof operation);
        if (p->form == NC_TENSORS) b = first(data[2], p->type, p->casts);
        else b = (element){number((char *)arguments[1] + wide, p->type), NC_WRITTEN};
        origin = weaker(a.origin, b.origin);
        if (count > 1 && (origin == NC_WRITTEN || p->form == NC_TENSORS)) origin = NC_GUESSED;
        if (of_finite(p, a, b, data)) origin = NC_FOLLOWS;
        result = p->form == NC_SCALAR_LEFT ? compare(p, operation, b.value, a.value)
                                           : compare(p, operation, a.value, b.value);
    } else {
        result = combine(p->rule, open_or(data[1], p->type, p->casts),
                         p->rule == NC_NOT ? NO : open_or(data[2], p->type, p->casts));
        origin = origin_of(data[1], p->type, p->casts, count);
        if (p->rule != NC_NOT) origin = weaker(origin, origin_of(data[2], p->type, p->casts, count));
        if (origin == NC_WRITTEN) origin = NC_GUESSED;
    }
    if (result == OPEN || count < 1) return (nc_answer){0};
    return (nc_answer){data[0], count < WRITTEN ? (size_t)count : WRITTEN, result, origin};
}

void nc_answer_write(const nc_answer *answer) {
    size_t size;
    if (!answer->bytes || !nc_arena_head(NC_DEVICE, answer->to, &size)) return;
    memset(answer->to, answer->yes, answer->bytes);
    nc_known_set(answer->to, answer->bytes, answer->origin);
}
