/* What a kernel does with its parameters, read from its name.
 *
 * A launch passes pointers to the parameters, neither their number nor their sizes. Both are safe to
 * use only as far as the name goes: the demangled name of a template ends with the parameters' types.
 * A pointer to const is read; any other is taken to be written. Of structures the few that carry most
 * of PyTorch's work are laid out by its source (aten/src/ATen/native/cuda):
 *   an element-wise kernel writes the first address of array<char*, N>, or of the function it was
 *   given (CUDALoops.cuh); a reduction reads the first address of ReduceOp (Reduce.cuh); TensorInfo
 *   and accessors begin with theirs; TensorListMetadata is full of them (ForeachFunctors.cuh).
 * In any other structure whatever looks like an address of the card is taken to be written.
 *
 * The kernels that look for infinities in gradients (_amp_*) are taken to find none and to leave the
 * scale alone, as in nearly every real step; a GradScaler would otherwise skip its optimizer, and the
 * peak would be another. What they were handed is kept even against such leftovers.
 */
#include "values/effects.h"
#include "base/report.h"
#include <ctype.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef char *demangler(const char *, char *, size_t *, int *);

/* PyTorch brings the C++ library, out of our sight. Looked up without a lock, since that takes the loader's: two
 * threads may both do it, and find the same. */
static char *demangled(const char *name) {
    static demangler *found;
    static bool tried;
    if (!__atomic_load_n(&tried, __ATOMIC_ACQUIRE)) {
        void *library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_LOCAL);
        void *symbol = library ? dlsym(library, "__cxa_demangle") : NULL;
        __atomic_store_n(&found, (demangler *)symbol, __ATOMIC_RELEASE);
        __atomic_store_n(&tried, true, __ATOMIC_RELEASE);
    }
    demangler *demangle = __atomic_load_n(&found, __ATOMIC_ACQUIRE);
    int status = -1;
    return demangle ? demangle(name, NULL, NULL, &status) : NULL;
}

static bool starts(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }

static bool plain(const char *type) { /* numbers hold no addresses */
    static const char *const NUMBERS[] = {"int",           "unsigned",     "long",  "short",  "char",
                                          "signed",        "bool",         "float", "double", "c10::Half",
                                          "c10::BFloat16", "c10::complex", "dim3"};
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        char next = starts(type, NUMBERS[i]) ? type[strlen(NUMBERS[i])] : '_';
        if (next != '_' && next != ':' && !isalpha((unsigned char)next)) return true; /* not internal::T */
    }
    return false;
}

static nc_effect effect_of(const char *kernel, const char *type, size_t length) {
    if (strstr(kernel, "getf2_") && length == 4 && !strncmp(type, "int*", 4))
        return NC_READ; /* MAGMA's LU: where it would report a singular matrix; it succeeds, as cuSOLVER's does */
    if (length && type[length - 1] == '*')
        return length > 6 && !strncmp(type + length - 6, "const*", 6) ? NC_READ : NC_POINTER;
    if (length && type[length - 1] == '&') return NC_READ;
    if (plain(type)) return NC_READ;
    if (strstr(kernel, "_amp_")) return memmem(type, length, "_amp_", 5) ? NC_KEEP : NC_READ;
    if (strstr(kernel, "reduce_kernel<") && starts(type, "at::native::ReduceOp<")) return NC_AFTER_FIRST;
    if (strstr(kernel, "elementwise_kernel")) {
        if (starts(type, "std::array<char*") || starts(type, "at::detail::Array<char*"))
            return strstr(kernel, "multi_outputs<") ? NC_FIRST_TWO : NC_FIRST;
        if (strstr(kernel, "array<char*") || strstr(kernel, "Array<char*"))
            return NC_READ; /* the function and its loaders */
        return strstr(kernel, "distribution") ? NC_FIRST : NC_STRIDED;
    }
    if (starts(type, "at::cuda::detail::TensorInfo<") || strstr(type, "PackedTensorAccessor"))
        return memmem(type, length, " const,", 7) ? NC_READ : NC_HEAD;
    if (memmem(type, length, "TensorList", 10)) return NC_LIST;
    return NC_EVERY;
}

/* The types between the last pair of parentheses, split at commas outside every bracket. False: there is none. */
static bool read_parameters(nc_writes *into, char *name) {
    size_t end = strlen(name), open = end;
    if (!end || name[end - 1] != ')') return false;
    for (int depth = 0; open-- > 0;) {
        depth += name[open] == ')' ? 1 : name[open] == '(' ? -1 : 0;
        if (!depth) break;
    }
    char *type = name + open + 1;
    name[end - 1] = 0;
    if (!*type) return true;
    int depth = 0;
    for (char *at = type;; at++) {
        if (*at && strchr("<({[", *at)) depth++;
        if (*at && strchr(">)}]", *at)) depth--;
        if (*at && (*at != ',' || depth)) continue;
        while (*type == ' ') type++;
        if (into->count == NC_PARAMETERS) return true;
        char kept = *at;
        *at = 0;
        into->effects[into->count++] = (uint8_t)effect_of(name, type, (size_t)(at - type));
        *at = kept;
        if (!kept) return true;
        type = at + 1;
    }
}

nc_writes *nc_writes_of(const char *name) {
    nc_writes *found = calloc(1, sizeof *found);
    if (!found) nc_fatal("no memory for what a kernel writes");
    if (strstr(name, "amp_update_scale")) return found;
    char *text = demangled(name);
    nc_trace("first launch of %s", text ? text : name);
    if (text) found->predicate = nc_predicate_of(text);
    found->unnamed = !text || !read_parameters(found, text); /* extern "C", and what no demangler knows */
    free(text);
    return found;
}
