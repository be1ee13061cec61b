/* Which predicate a kernel is, read from its demangled name.
 *
 * Layouts by PyTorch's source: a function with a scalar is {operation, scalar} (Loops.cuh,
 * CompareKernels.cu, CompareEQKernel.cu); the operations are EQ, NE and GE, GT, LE, LT, in this order.
 */
#include "values/predicate_names.h"
#include <string.h>

static const struct {
    const char *name;
    char letter;
    int bytes;
} TYPES[] = {
    {"bool>", 'b', 1},      {"signed char>", 'a', 1},   {"unsigned char>", 'h', 1}, {"short>", 's', 2},
    {"int>", 'i', 4},       {"long>", 'l', 8},          {"float>", 'f', 4},         {"double>", 'd', 8},
    {"c10::Half>", 'H', 2}, {"c10::BFloat16>", 'B', 2},
};

int nc_type_bytes(char letter) {
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (TYPES[i].letter == letter) return TYPES[i].bytes;
    return 0;
}

static char type_after(const char *text,
                       const char *template) { /* the template's first argument, or its only one */
    const char *at = strstr(text, template);
    for (size_t i = 0; at && i < sizeof TYPES / sizeof *TYPES; i++) {
        size_t length = strlen(TYPES[i].name) - 1;
        const char *argument = at + strlen(template);
        if (!strncmp(argument, TYPES[i].name, length) && strchr(",>", argument[length]))
            return TYPES[i].letter;
    }
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
            p = (nc_predicate){any ? NC_ANY : NC_ALL, NC_TENSORS, 2, type_after(text, "ReduceOp<"), false};
        return p;
    }
    if (!strstr(text, "vectorized_elementwise_kernel<") && !strstr(text, "unrolled_elementwise_kernel<"))
        return p;
    if (strstr(text, "AUnaryFunctor<")) p.form = NC_SCALAR_LEFT;
    else if (strstr(text, "BUnaryFunctor<") || strstr(text, "compare_scalar_kernel<"))
        p.form = NC_SCALAR_RIGHT;
    if ((p.type = type_after(text, "CompareEqFunctor<"))) p.rule = NC_EQUALITY;
    else if ((p.type = type_after(text, "compare_scalar_kernel<"))) p.rule = NC_ORDER;
    else if ((p.type = type_after(text, "CompareFunctor<"))) p.rule = NC_ORDER;
    else if (p.form == NC_TENSORS) {
        if (strstr(text, "BitwiseAndFunctor<bool>") || strstr(text, "MulFunctor<bool>")) p.rule = NC_AND;
        if (strstr(text, "BitwiseOrFunctor<bool>") || strstr(text, "CUDAFunctor_add<bool>")) p.rule = NC_OR;
        if (strstr(text, "BitwiseXorFunctor<bool>")) p.rule = NC_XOR;
        p.type = p.rule ? 'b' : lambda_type(text);
        if (strstr(text, "logical_and_kernel_cuda")) p.rule = NC_AND;
        if (strstr(text, "logical_or_kernel_cuda")) p.rule = NC_OR;
        if (strstr(text, "logical_xor_kernel_cuda")) p.rule = NC_XOR;
        if (strstr(text, "logical_not_kernel_cuda")
            || (strstr(text, "bitwise_not_kernel_cuda") && p.type == 'b'))
            p.rule = NC_NOT;
        if (!p.type) p.rule = 0;
    }
    p.operands = p.rule == NC_NOT || p.form != NC_TENSORS ? 2 : 3;
    p.casts = strstr(text, "LoadWithCast");
    return p;
}
