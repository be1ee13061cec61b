/* Reductions of known values. They are few and small (flags, sizes, counters), so simple before fast. */
#include "values/reduce.h"
#include <math.h>
#include <string.h>

/* A number as wide as there is one: what is not floating point is kept in 64 bits, which wrap as fewer do. */
typedef struct {
    double real;
    uint64_t whole;
} element;

static bool is_real(nc_number type) { return type >= NC_HALF; }
static bool is_signed(nc_number type) { return type == NC_INT8 || type == NC_INT32 || type == NC_INT64; }

static double of_half(uint16_t bits) { /* sign, five bits of exponent, ten of fraction */
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double size = exponent == 31 ? (fraction ? NAN : INFINITY)
                  : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                 : ldexp(fraction, -24);
    return bits & 0x8000 ? -size : size;
}

/* To the nearest, ties to even, as the addition rounds: nearbyint of libm, which is not linked. */
static double nearest(double below_2_52) { return below_2_52 + 0x1p52 - 0x1p52; }

static uint16_t to_half(double value) {
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double size = fabs(value);
    int exponent;
    if (isnan(size)) return 0x7e00;
    frexp(size, &exponent); /* size = f * 2^exponent, f from 1/2 to 1 */
    if (exponent < -13 || size == 0) return (uint16_t)(sign | (uint16_t)nearest(ldexp(size, 24)));
    double fraction = isinf(size) ? 0 : nearest(ldexp(size, 11 - exponent)); /* 1024 to 2048 */
    if (isinf(size) || ldexp(fraction, exponent - 11) >= 65536) return sign | 0x7c00;
    /* 2048 carries into the exponent by itself */
    return (uint16_t)(sign | (((exponent + 14) << 10) + (int)fraction - 1024));
}

static uint16_t to_bfloat(double value) {
    float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    if (isnan(value)) return 0x7fc0;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#define AT(kind) ((const kind *)(const void *)from)[i]
static element load(const char *from, size_t i, nc_number type) {
    switch (type) {
    case NC_INT8: return (element){0, (uint64_t)AT(int8_t)};
    case NC_UINT8: return (element){0, AT(uint8_t)};
    case NC_INT32: return (element){0, (uint64_t)AT(int32_t)};
    case NC_UINT32: return (element){0, AT(uint32_t)};
    case NC_INT64:
    case NC_UINT64: return (element){0, AT(uint64_t)};
    case NC_HALF: return (element){of_half(AT(uint16_t)), 0};
    case NC_FLOAT: return (element){AT(float), 0};
    case NC_DOUBLE: return (element){AT(double), 0};
    default: {
        uint32_t wide = (uint32_t)AT(uint16_t) << 16;
        float value;
        memcpy(&value, &wide, sizeof value);
        return (element){value, 0};
    }
    }
}
#undef AT

#define AT(kind) ((kind *)to)[i]
static void store(void *to, size_t i, nc_number type, element e) {
    switch (type) {
    case NC_INT8:
    case NC_UINT8: AT(uint8_t) = (uint8_t)e.whole; break;
    case NC_INT32:
    case NC_UINT32: AT(uint32_t) = (uint32_t)e.whole; break;
    case NC_INT64:
    case NC_UINT64: AT(uint64_t) = e.whole; break;
    case NC_HALF: AT(uint16_t) = to_half(e.real); break;
    case NC_FLOAT: AT(float) = (float)e.real; break;
    case NC_DOUBLE: AT(double) = e.real; break;
    default: AT(uint16_t) = to_bfloat(e.real);
    }
}
#undef AT

static bool below(element a, element b, nc_number type) {
    if (is_real(type)) return a.real < b.real;
    return is_signed(type) ? (int64_t)a.whole < (int64_t)b.whole : a.whole < b.whole;
}

static element combined(element a, element b, nc_number type, nc_reduction reduction) {
    switch (reduction) {
    case NC_PRODUCT: return (element){a.real * b.real, a.whole * b.whole};
    case NC_MOST: return isnan(a.real) || below(b, a, type) ? a : b;
    case NC_LEAST: return isnan(a.real) || below(a, b, type) ? a : b;
    default: return (element){a.real + b.real, a.whole + b.whole};
    }
}

static element divided(element sum, int parts, nc_number type) {
    uint64_t whole = is_signed(type) ? (uint64_t)((int64_t)sum.whole / parts) : sum.whole / (uint64_t)parts;
    return (element){sum.real / parts, whole};
}

bool nc_reduce(void *to, const char *const *sources, int parts, size_t count, nc_number type,
               nc_reduction reduction, double scale) {
    if (type > NC_BFLOAT) return false;
    for (size_t i = 0; i < count; i++) {
        element all = load(sources[0], i, type);
        for (int part = 1; part < parts; part++)
            all = combined(all, load(sources[part], i, type), type, reduction);
        if (reduction == NC_AVERAGE) all = divided(all, parts, type);
        if (scale != 1) all = (element){all.real * scale, all.whole * (uint64_t)(int64_t)scale};
        store(to, i, type, all);
    }
    return true;
}

bool nc_number_at(const void *at, nc_number type, double *value) {
    if (type > NC_BFLOAT) return false;
    element e = load(at, 0, type);
    *value = is_real(type) ? e.real : is_signed(type) ? (double)(int64_t)e.whole : (double)e.whole;
    return true;
}
