/* Device, pinned and managed memory, copies, and the model of what is known. */
#include "driver.h"

extern int nanocheck_known(const void *storage, const void *at, size_t bytes);
extern void nanocheck_wrote(const void *at);

static block *random_block(worker *w) { return &w->blocks[pick(w, BLOCKS)]; }

block *some_block(worker *w) { /* NULL: none was found */
    for (int tries = 0; tries < 8; tries++) {
        block *b = random_block(w);
        if (b->at) return b;
    }
    return NULL;
}

/* The rules of values/known.c: a unit's known bytes are a prefix; a gap before a write stays unknown. */
void model_set(block *b, size_t offset, size_t bytes, const unsigned char *values) {
    for (size_t unit = 0; unit < MODEL / 512; unit++) {
        size_t first = unit * 512, from = offset > first ? offset - first : 0;
        size_t last = offset + bytes > first ? offset + bytes - first : 0;
        if (last > 512) last = 512;
        if (from >= last) continue;
        if (from <= b->known[unit] && last > b->known[unit]) b->known[unit] = last;
    }
    for (size_t i = 0; i < bytes && offset + i < MODEL; i++) b->values[offset + i] = values[i];
}

void model_lose(block *b, size_t offset) {
    size_t unit = offset / 512;
    if (unit < MODEL / 512 && b->known[unit] > offset % 512) b->known[unit] = offset % 512;
}

static bool model_knows(const block *b, size_t end) { /* all of it from the start on */
    for (size_t unit = 0; unit * 512 < end; unit++)
        if (b->known[unit] < (end - unit * 512 < 512 ? end - unit * 512 : 512)) return false;
    return true;
}

/* What the library takes for known is what the model knows. The other way round it may know less: a launch whose
 * parameters nobody described is read a little too far, and what then looks like an address may be of another
 * thread. That is rare: memory_end looks how often what was just written was not known. */
void model_check(worker *w, block *b) {
    size_t offset = pick(w, MODEL - 64), bytes = 1 + pick(w, 64);
    unsigned char seen[64];
    w->calls++;
    if (!nanocheck_known(b->at, b->at + offset, bytes)) return;
    HOLDS(model_knows(b, offset + bytes));
    if (bytes == 4 || bytes == 8) return; /* these may be counts that are made up */
    LEGAL(cudaMemcpy(seen, b->at + offset, bytes, cudaMemcpyDeviceToHost));
    HOLDS(!memcmp(seen, b->values + offset, bytes));
}

static void take(worker *w, block *b) {
    static const size_t SIZES[] = {1, 512, 4096, MIB, 2 * MIB, 2 * MIB + 1};
    size_t bytes = pick(w, 60) ? SIZES[pick(w, 6)] : pick(w, 64) * MIB + 1;
    size_t rounded = (bytes + 2 * MIB - 1) / (2 * MIB) * (2 * MIB);
    void *at = NULL;
    long error =
        pick(w, 2) ? EITHER(cudaMalloc(&at, bytes)) : EITHER(cudaMallocAsync(&at, bytes, shared_streams[0]));
    HOLDS(!error || (error == cudaErrorMemoryAllocation && cudaGetLastError() == (cudaError_t)error));
    if (error) return;
    *b = (block){.at = at, .bytes = rounded};
    w->held += rounded;
}

static void give(worker *w, block *b) {
    char *at = b->at;
    ILLEGAL(cudaFree(at + 1));
    ILLEGAL(cudaFreeHost(at));
    LEGAL(cudaFree(at));
    if (!pick(w, 8)) ILLEGAL(cudaMemset(at, 0, 1));
    w->held -= b->bytes;
    b->at = NULL;
    if (!pick(w, 4)) ILLEGAL(cudaFree(at));
    if (!pick(w, 4)) ILLEGAL(cuMemAddressFree((CUdeviceptr)at, b->bytes));
}

static void host(worker *w) {
    unsigned i = pick(w, 4);
    if (w->pinned[i]) {
        struct cudaPointerAttributes attributes;
        LEGAL(cudaPointerGetAttributes(&attributes, w->pinned[i]));
        HOLDS(attributes.type == cudaMemoryTypeHost);
        ILLEGAL(cudaFree(w->pinned[i]));
        LEGAL(cudaFreeHost(w->pinned[i]));
        ILLEGAL(cudaFreeHost(w->pinned[i]));
        w->pinned[i] = NULL;
    } else LEGAL(cudaHostAlloc(&w->pinned[i], 1 + pick(w, 100000), 0));
    if (w->managed[i]) {
        LEGAL(cudaFree(w->managed[i]));
        w->managed[i] = NULL;
    } else if (!pick(w, 3)) LEGAL(cudaMallocManaged(&w->managed[i], 1 + pick(w, 100000), 1));
    LEGAL(cudaHostRegister(w->stale_memory, sizeof w->stale_memory, 0));
    ILLEGAL(cudaHostRegister(w->stale_memory, 1, 0));
    LEGAL(cudaHostUnregister(w->stale_memory));
    ILLEGAL(cudaHostUnregister(w->stale_memory));
    ILLEGAL(cudaFree(w->stale_memory));
}

static void impossible(worker *w) { /* never fits, whatever the others hold */
    void *at = NULL;
    CUmemGenericAllocationHandle handle;
    CUmemAllocationProp properties = {0};
    ILLEGAL(cudaMalloc(NULL, 1));
    ILLEGAL(cudaMalloc(&at, total_bytes));
    ILLEGAL(cudaMalloc(&at, SIZE_MAX - pick(w, 8) * MIB));
    ILLEGAL(cudaMallocManaged(&at, (size_t)1 << 50, 1));
    ILLEGAL(cudaMallocManaged(&at, 0, 1));
    ILLEGAL(cudaHostAlloc(&at, (size_t)1 << 50, 0));
    ILLEGAL(cuMemCreate(&handle, (SIZE_MAX - pick(w, 1024) * MIB) / (2 * MIB) * (2 * MIB), &properties, 0));
    ILLEGAL(cuMemCreate(&handle, 0, &properties, 0));
    ILLEGAL(cuMemCreate(&handle, 1 + pick(w, 1000), &properties, 0));
    LEGAL(cudaMalloc(&at, 0));
    LEGAL(cudaFree(NULL));
    ILLEGAL(cudaSetDevice(1));
    ILLEGAL(cudaHostUnregister(at));
}

static void write_some(worker *w, block *b) {
    unsigned char values[MODEL];
    size_t offset = pick(w, 3) ? 0 : pick(w, MODEL), bytes = 1 + pick(w, (unsigned)(MODEL - offset));
    cudaStream_t stream = shared_streams[pick(w, 4)];
    memset(values, (int)pick(w, 256), sizeof values);
    values[0]++;
    if (b->bytes < MODEL) return;
    ILLEGAL(cudaMemset(b->at + 1, 0, b->bytes)); /* beyond its end by a byte */
    ILLEGAL(cudaMemcpyAsync(b->at + b->bytes - 1, values, 2, cudaMemcpyHostToDevice, stream));
    switch (pick(w, 5)) {
    case 0:
        memset(values, values[1], sizeof values);
        LEGAL(cudaMemset(b->at + offset, values[0], bytes));
        break;
    case 1:
        memset(values, values[1], sizeof values);
        LEGAL(cudaMemsetAsync(b->at + offset, values[0], bytes, stream));
        break;
    case 2: LEGAL(cudaMemcpy(b->at + offset, values, bytes, cudaMemcpyHostToDevice)); break;
    case 3: LEGAL(cudaMemcpyAsync(b->at + offset, values, bytes, cudaMemcpyHostToDevice, stream)); break;
    case 4: LEGAL(cuMemcpyHtoD((CUdeviceptr)(b->at + offset), values, bytes)); break;
    }
    model_set(b, offset, bytes, values);
    if (offset) return;
    w->calls++;
    w->fresh++;
    w->missed += !nanocheck_known(b->at, b->at, bytes);
}

static void copy_between(worker *w) {
    block *from = some_block(w), *to = some_block(w);
    size_t bytes = 1 + pick(w, MODEL);
    if (!from || !to || from == to) return;
    LEGAL(cudaMemcpyAsync(to->at, from->at, bytes, cudaMemcpyDeviceToDevice, shared_streams[0]));
    if (model_knows(from, bytes)) model_set(to, 0, bytes, from->values);
    else
        for (size_t at = 0; at < bytes; at += 512) model_lose(to, at);
}

/* Units that all threads share. The bytes are each one's own: what it lost nobody else makes known again. */
static void shared(worker *w) {
    for (int i = 0; i < 8; i++) {
        char *unit = shared_memory + pick(w, 2) * 512, *mine = unit + w->number * 8;
        LEGAL(cudaMemset(mine, (int)pick(w, 256), 8));
        w->calls += 2;
        nanocheck_wrote(mine);
        HOLDS(!nanocheck_known(unit, mine, 8));
    }
}

void memory_step(worker *w) {
    block *b = random_block(w);
    switch (pick(w, 10)) {
    case 0:
        if (b->at) give(w, b);
        else take(w, b);
        break;
    case 1: host(w); break;
    case 2:
        if (!pick(w, 10)) impossible(w);
        break;
    case 3:
        if (!(b = some_block(w))) break;
        w->calls++;
        size_t offset = pick(w, MODEL);
        nanocheck_wrote(b->at + offset);
        model_lose(b, offset);
        break;
    case 4: copy_between(w); break;
    case 5: shared(w); break;
    default:
        if (!(b = some_block(w))) break;
        write_some(w, b);
        model_check(w, b);
    }
}

void memory_end(worker *w) {
    for (int i = 0; i < BLOCKS; i++)
        if (w->blocks[i].at) give(w, &w->blocks[i]);
    for (int i = 0; i < 4; i++) {
        if (w->pinned[i]) LEGAL(cudaFreeHost(w->pinned[i]));
        if (w->managed[i]) LEGAL(cudaFree(w->managed[i]));
    }
    HOLDS(w->held == 0);
    HOLDS(w->missed * 1000 <= w->fresh + 1000);
}
