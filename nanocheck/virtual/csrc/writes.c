/* Which memory a kernel writes, as far as its name tells.
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
 * Such structures are larger than what a launch fills in, and the rest is what earlier launches left.
 *
 * The kernels that look for infinities in gradients (_amp_*) are taken to find none and to leave the
 * scale alone, as in nearly every real step; a GradScaler would otherwise skip its optimizer, and the
 * peak would be another. What they were handed is kept even against such leftovers.
 */
#include "known.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 96, STRUCTURE = 256, CLOSURE = 2048, METADATA = 4096, PAGE = 4096, UNNAMED = 24, REDUCED = 5 };
typedef enum { READ, POINTER, HEAD, FIRST, FIRST_TWO, AFTER_FIRST, STRIDED, EVERY, LIST, KEEP } effect;
struct nc_writes {
    nc_predicate predicate;
    int count;
    uint8_t effects[MOST];
};

static char *demangled(const char *name) {
    static char *(*demangle)(const char *, char *, size_t *, int *);
    static bool tried;
    if (!tried) { /* PyTorch brings the C++ library, out of our sight */
        void *library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_LOCAL);
        if (library) *(void **)&demangle = dlsym(library, "__cxa_demangle");
        tried = true;
    }
    int status = -1;
    return demangle ? demangle(name, NULL, NULL, &status) : NULL;
}

static bool starts(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }

static bool plain(const char *type) { /* numbers hold no addresses */
    static const char *const NUMBERS[] = {"int",           "unsigned",     "long",  "short",  "char",
                                          "signed",        "bool",         "float", "double", "c10::Half",
                                          "c10::BFloat16", "c10::complex", "dim3"};
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
        if (starts(type, NUMBERS[i])) return true;
    return false;
}

static effect effect_of(const char *kernel, const char *type, size_t length) {
    if (length && type[length - 1] == '*')
        return length > 6 && !strncmp(type + length - 6, "const*", 6) ? READ : POINTER;
    if (length && type[length - 1] == '&') return READ;
    if (plain(type)) return READ;
    if (strstr(kernel, "_amp_")) return memmem(type, length, "_amp_", 5) ? KEEP : READ;
    if (strstr(kernel, "reduce_kernel<") && starts(type, "at::native::ReduceOp<")) return AFTER_FIRST;
    if (strstr(kernel, "elementwise_kernel")) {
        if (starts(type, "std::array<char*") || starts(type, "at::detail::Array<char*"))
            return strstr(kernel, "multi_outputs<") ? FIRST_TWO : FIRST;
        if (strstr(kernel, "array<char*") || strstr(kernel, "Array<char*"))
            return READ; /* the function and its loaders */
        return strstr(kernel, "distribution") ? FIRST : STRIDED;
    }
    if (starts(type, "at::cuda::detail::TensorInfo<") || strstr(type, "PackedTensorAccessor"))
        return memmem(type, length, " const,", 7) ? READ : HEAD;
    if (memmem(type, length, "TensorList", 10)) return LIST;
    return EVERY;
}

/* The types between the last pair of parentheses, split at commas outside every bracket. */
static void read_parameters(nc_writes *into, char *name) {
    size_t end = strlen(name), open = end;
    if (!end || name[end - 1] != ')') return;
    for (int depth = 0; open-- > 0;) {
        depth += name[open] == ')' ? 1 : name[open] == '(' ? -1 : 0;
        if (!depth) break;
    }
    char *type = name + open + 1;
    name[end - 1] = 0;
    if (!*type) return;
    int depth = 0;
    for (char *at = type;; at++) {
        if (*at && strchr("<({[", *at)) depth++;
        if (*at && strchr(">)}]", *at)) depth--;
        if (*at && (*at != ',' || depth)) continue;
        while (*type == ' ') type++;
        if (into->count == MOST) return;
        char kept = *at;
        *at = 0;
        into->effects[into->count++] = (uint8_t)effect_of(name, type, (size_t)(at - type));
        *at = kept;
        if (!kept) return;
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
    if (text) read_parameters(found, text);
    free(text);
    return found;
}

/* How far a structure may be read: to the next parameter above it, and never into the next page. */
static size_t reach(const nc_writes *w, void **arguments, int index, size_t most) {
    uintptr_t at = (uintptr_t)arguments[index], end = at + most;
    for (int i = 0; i < w->count; i++)
        if ((uintptr_t)arguments[i] > at && (uintptr_t)arguments[i] < end) end = (uintptr_t)arguments[i];
    uintptr_t mine = (uintptr_t)&at; /* parameters lie on the caller's stack, all of it above ours */
    bool stack = at > mine && at - mine < (uintptr_t)1 << 16;
    uintptr_t page = (at | (PAGE - 1)) + 1;
    if (!stack && end > page) end = page;
    return end - at;
}

static void *word_at(const char *at) {
    void *word;
    memcpy(&word, at, sizeof word);
    return nc_arena_offset(word) == SIZE_MAX ? NULL : word;
}

static void each_in(const char *from, size_t bytes, int most, void (*act)(const void *)) {
    for (size_t at = (8 - (uintptr_t)from % 8) % 8; at + sizeof(void *) <= bytes && most;
         at += sizeof(void *)) {
        void *word = word_at(from + at);
        if (!word) continue;
        act(word);
        most--;
    }
}

static uint64_t bits_at(const char *at) {
    uint64_t bits;
    memcpy(&bits, at, sizeof bits);
    return bits;
}

/* ReduceOp ends with src, dst[2], acc_buf, cta_buf, semaphores, base_idx, accumulate, final_output, noutputs. Before
 * them stand the operation (up to some words), 60 bytes of configuration and OffsetCalculators of 404 and 504 bytes,
 * filled as far as needed; the rest of these is whatever was on the stack, the end of an earlier ReduceOp too. */
enum { CALCULATORS = 404 + 504 + 52, OPERATION = 192 };
static const char *source_in(const char *from, size_t bytes) {
    if (bytes > CALCULATORS + OPERATION) bytes = CALCULATORS + OPERATION;
    for (size_t at = CALCULATORS + (8 - (uintptr_t)from % 8) % 8; at + 64 <= bytes; at += 8) {
        const char *w = from + at;
        bool fits = word_at(w) && word_at(w + 8);
        for (int i = 3; i < 6; i++) fits = fits && (!bits_at(w + 8 * i) || word_at(w + 8 * i));
        uint64_t flags = bits_at(w + 56), outputs = flags >> 32;
        fits = fits && bits_at(w + 48) >> 40 == 0 && (flags & 0xfefe) == 0 && (outputs == 1 || outputs == 2);
        if (fits) return w;
    }
    return NULL;
}

/* The closure of elementwise_kernel: OffsetCalculator<K> (a number, 25 dividers of 12 bytes, 25 x K strides), then
 * array<char*, K>. K is not in the name: the one that fits, if it is the only one. */
static const char *output_in(const char *from, size_t bytes) {
    const char *found = NULL;
    for (size_t k = 1; k <= 5; k++) {
        size_t at = (4 + 300 + 100 * k + 7) / 8 * 8;
        bool fits = at + 8 * k <= bytes && (uintptr_t)from % 8 == 0;
        for (size_t i = 0; fits && i < k; i++) fits = word_at(from + at + 8 * i);
        if (fits && found) return NULL;
        if (fits) found = from + at;
    }
    return found;
}

void nc_writes_lose(const nc_writes *w, void **arguments) {
    if (!w || !arguments) return;
    for (int i = 0; i < w->count; i++) {
        const char *at = arguments[i], *found;
        if (!at) continue;
        switch ((effect)w->effects[i]) {
        case READ: break;
        case POINTER:
        case HEAD: each_in(at, sizeof(void *), 1, nc_known_lose); break;
        case FIRST: each_in(at, reach(w, arguments, i, CLOSURE), 1, nc_known_lose); break;
        case FIRST_TWO: each_in(at, 2 * sizeof(void *), 2, nc_known_lose); break;
        case AFTER_FIRST:
            found = source_in(at, reach(w, arguments, i, CLOSURE));
            if (found) each_in(found + sizeof(void *), REDUCED * sizeof(void *), REDUCED, nc_known_lose);
            else each_in(at, reach(w, arguments, i, CLOSURE), CLOSURE, nc_known_doubt);
            break;
        case STRIDED:
            found = output_in(at, reach(w, arguments, i, CLOSURE));
            if (found) each_in(found, sizeof(void *), 1, nc_known_lose);
            else each_in(at, reach(w, arguments, i, CLOSURE), CLOSURE, nc_known_doubt);
            break;
        case KEEP:
            each_in(at, reach(w, arguments, i, STRUCTURE), 2, nc_known_keep);
            break; /* found_inf, inv_scale */
        case EVERY: each_in(at, reach(w, arguments, i, STRUCTURE), MOST, nc_known_doubt); break;
        case LIST: each_in(at, reach(w, arguments, i, METADATA), METADATA, nc_known_doubt); break;
        }
    }
}

/* What it writes and reads first: its output and up to two inputs, in the order of a TensorIterator. */
static bool operands(const nc_writes *w, void **arguments, char *data[3]) {
    if (w->count == 1) {
        const char *source = source_in(arguments[0], reach(w, arguments, 0, CLOSURE));
        if (!source) return false;
        data[0] = word_at(source + sizeof(void *));
        data[1] = word_at(source);
        return true;
    }
    if (w->count < 3 || w->effects[2] != FIRST) return false;
    for (int i = 0; i < 3; i++)
        if (i < w->predicate.operands)
            data[i] = word_at((const char *)arguments[2] + (size_t)i * sizeof(void *));
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
        each_in(arguments[i], sizeof(void *), 1, nc_known_lose);
    }
}
