/* Yes and no: the few kernels that scripts branch on are answered, as if what nobody computed were ones.
 *
 * isnan is `x != x`, isinf `abs(x) == inf`, isfinite a product of the two (aten/src/ATen/native/
 * TensorCompare.cpp), torch.equal an eq and an all. So comparisons, their combination (and, or, not,
 * product of bool) and the reductions any and all are enough for "is anything wrong?" to be answered
 * "no", and for `while norm > 1` to end. What such a chain says nothing about stays open: any of it
 * is false, all of it true.
 *
 * The first element stands for the whole tensor: what the program wrote there, or one. Only where a
 * single element was compared, and was known, is the answer known; everywhere else it is a guess.
 *
 * Layouts by PyTorch's source: a function with a scalar is {operation, scalar} (Loops.cuh,
 * CompareKernels.cu, CompareEQKernel.cu); the operations are EQ, NE and GE, GT, LE, LT, in this order.
 */
#include "known.h"
#include <math.h>
#include <string.h>

enum { WRITTEN = 4096 }; /* of a larger answer nobody reads more before it is reduced */
enum { EQUALITY = 1, ORDER, AND, OR, XOR, NOT, ANY, ALL };
enum { TENSORS, SCALAR_LEFT, SCALAR_RIGHT };
enum { NO, YES, OPEN };
typedef struct {
    double value;
    bool known;
} element;

static const struct {
    const char *name;
    char letter;
    int bytes;
} TYPES[] = {
    {"bool>", 'b', 1},      {"signed char>", 'a', 1},   {"unsigned char>", 'h', 1}, {"short>", 's', 2},
    {"int>", 'i', 4},       {"long>", 'l', 8},          {"float>", 'f', 4},         {"double>", 'd', 8},
    {"c10::Half>", 'H', 2}, {"c10::BFloat16>", 'B', 2},
};

static int size_of(char letter) {
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (TYPES[i].letter == letter) return TYPES[i].bytes;
    return 0;
}

static char type_after(const char *text, const char *template) {
    const char *at = strstr(text, template);
    for (size_t i = 0; at && i < sizeof TYPES / sizeof *TYPES; i++)
        if (!strncmp(at + strlen(template), TYPES[i].name, strlen(TYPES[i].name))) return TYPES[i].letter;
    return 0;
}

/* The last argument of a logical function, which is that of the lambda at its end: `bool (float, float)`. */
static char lambda_type(const char *text) {
    static const char *const FORMS[] = {"lambda(", "bool ("};
    for (size_t form = 0; form < 2; form++)
        for (const char *at = strstr(text, FORMS[form]); at; at = strstr(at + 1, FORMS[form]))
            for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
                size_t length = strlen(TYPES[i].name) - 1;
                const char *argument = at + strlen(FORMS[form]);
                if (!strncmp(argument, TYPES[i].name, length)
                    && (argument[length] == ')' || argument[length] == ','))
                    return TYPES[i].letter;
            }
    return 0;
}

nc_predicate nc_predicate_of(const char *text) {
    nc_predicate p = {0};
    if (strstr(text, "reduce_kernel<")) {
        bool any = strstr(text, "::or_kernel_cuda"), all = strstr(text, "::and_kernel_cuda");
        if (any || all)
            p = (nc_predicate){any ? ANY : ALL, TENSORS, 2, strstr(text, "ReduceOp<bool,") ? 'b' : 0, false};
        return p;
    }
    if (!strstr(text, "vectorized_elementwise_kernel<") && !strstr(text, "unrolled_elementwise_kernel<"))
        return p;
    if (strstr(text, "AUnaryFunctor<")) p.form = SCALAR_LEFT;
    else if (strstr(text, "BUnaryFunctor<") || strstr(text, "compare_scalar_kernel<")) p.form = SCALAR_RIGHT;
    if ((p.type = type_after(text, "CompareEqFunctor<"))) p.rule = EQUALITY;
    else if ((p.type = type_after(text, "compare_scalar_kernel<"))) p.rule = ORDER;
    else if ((p.type = type_after(text, "CompareFunctor<"))) p.rule = ORDER;
    else if (p.form == TENSORS) {
        if (strstr(text, "BitwiseAndFunctor<bool>") || strstr(text, "MulFunctor<bool>")) p.rule = AND;
        if (strstr(text, "BitwiseOrFunctor<bool>") || strstr(text, "CUDAFunctor_add<bool>")) p.rule = OR;
        if (strstr(text, "BitwiseXorFunctor<bool>")) p.rule = XOR;
        p.type = p.rule ? 'b' : lambda_type(text);
        if (strstr(text, "logical_and_kernel_cuda")) p.rule = AND;
        if (strstr(text, "logical_or_kernel_cuda")) p.rule = OR;
        if (strstr(text, "logical_xor_kernel_cuda")) p.rule = XOR;
        if (strstr(text, "logical_not_kernel_cuda")
            || (strstr(text, "bitwise_not_kernel_cuda") && p.type == 'b'))
            p.rule = NOT;
        if (!p.type) p.rule = 0;
    }
    p.operands = p.rule == NOT || p.form != TENSORS ? 2 : 3;
    p.casts = strstr(text, "LoadWithCast");
    return p;
}

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
    memcpy(&u, at, (size_t)size_of(type));
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
    if (casts || !nc_is_device(at) || !nc_known_all(at, (size_t)size_of(type))) return (element){1, false};
    return (element){number(at, type), !nc_known_guessed(at)};
}

static int open_or(const char *at, char type, bool casts) { /* truth of a first element */
    if (type == 'b' && (casts || !nc_known_all(at, 1))) return OPEN;
    return first(at, type, casts).value != 0;
}

static int compare(const nc_predicate *p, int operation, double a, double b) {
    if (p->rule == EQUALITY) return operation ? a != b : a == b;
    return operation == 0 ? a >= b : operation == 1 ? a > b : operation == 2 ? a <= b : a < b;
}

static int combine(int rule, int a, int b) {
    switch (rule) {
    case AND: return a == NO || b == NO ? NO : a == OPEN || b == OPEN ? OPEN : YES;
    case OR: return a == YES || b == YES ? YES : a == OPEN || b == OPEN ? OPEN : NO;
    case XOR: return a == OPEN || b == OPEN ? OPEN : a != b;
    default: return a == OPEN ? OPEN : !a;
    }
}

/* `data` are the addresses a kernel was given: what it writes, then what it reads. */
nc_answer nc_predicate_answer(const nc_predicate *p, void **arguments, char *const *data) {
    if (p->rule == ANY || p->rule == ALL) {
        int of = p->type ? open_or(data[1], 'b', false) : YES;
        return (nc_answer){data[0], 1, of == OPEN ? p->rule == ALL : of, true};
    }
    int count, result;
    bool known = false;
    memcpy(&count, arguments[0], sizeof count);
    if (p->rule == EQUALITY || p->rule == ORDER) {
        element a = first(data[1], p->type, p->casts), b = a;
        int operation, wide = size_of(p->type) == 8 ? 8 : 4;
        memcpy(&operation, arguments[1], sizeof operation);
        if (p->form == TENSORS) b = first(data[2], p->type, p->casts);
        else b = (element){number((char *)arguments[1] + wide, p->type), true};
        known = count == 1 && a.known && b.known;
        result = p->form == SCALAR_LEFT ? compare(p, operation, b.value, a.value)
                                        : compare(p, operation, a.value, b.value);
    } else
        result = combine(p->rule, open_or(data[1], p->type, p->casts),
                         p->rule == NOT ? NO : open_or(data[2], p->type, p->casts));
    if (result == OPEN || count < 1) return (nc_answer){0};
    return (nc_answer){data[0], count < WRITTEN ? (size_t)count : WRITTEN, result, !known};
}

void nc_answer_write(const nc_answer *answer) {
    if (!answer->bytes || !nc_arena_head(NC_DEVICE, answer->to)) return;
    memset(answer->to, answer->yes, answer->bytes);
    nc_known_set(answer->to, answer->bytes, answer->guessed);
}
