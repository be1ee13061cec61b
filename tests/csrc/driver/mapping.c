/* Virtual memory management: reservations, physical memory, mappings; a model says which calls are legal. */
#include "driver.h"

enum { GRANULE = 2 << 20 };

static bool free_granules(const range *r, unsigned first, unsigned count) {
    for (unsigned i = first; i < first + count; i++)
        if (i >= PIECES || r->handle[i] >= 0) return false;
    return true;
}

static void reserve(worker *w, range *r) {
    LEGAL(cuMemAddressReserve(&r->at, (size_t)PIECES * GRANULE, 0, 0, 0));
    for (int i = 0; i < PIECES; i++) r->handle[i] = -1;
}

static void create(worker *w, physical *p) {
    CUmemAllocationProp properties = {0};
    size_t bytes = (1 + pick(w, 3)) * (size_t)GRANULE;
    long error = EITHER(cuMemCreate(&p->handle, bytes, &properties, 0));
    HOLDS(!error || error == CUDA_ERROR_OUT_OF_MEMORY);
    if (error) return;
    p->bytes = bytes;
    w->held += bytes;
}

static void gone(worker *w, physical *p) { /* released, and nothing maps it any more */
    if (!p->released || p->mappings) return;
    w->held -= p->bytes;
    ILLEGAL(cuMemRelease(p->handle));
    *p = (physical){0};
}

static void map(worker *w, range *r) {
    int index = (int)pick(w, HANDLES);
    physical *p = &w->handles[index];
    unsigned first = pick(w, PIECES), count = 1 + pick(w, 4);
    size_t bytes = count * (size_t)GRANULE, offset = pick(w, 5) ? 0 : GRANULE;
    CUdeviceptr at = r->at + first * (CUdeviceptr)GRANULE;
    bool legal = p->bytes && !p->released && first + count <= PIECES && free_granules(r, first, count)
                 && offset + bytes <= p->bytes;
    if (!legal) {
        ILLEGAL(cuMemMap(at, bytes, offset, p->handle, 0));
        return;
    }
    CUmemAccessDesc access = {0};
    ILLEGAL(cuMemMap(at + 4096, bytes, offset, p->handle, 0));
    LEGAL(cuMemMap(at, bytes, offset, p->handle, 0));
    LEGAL(cuMemSetAccess(at, bytes, &access, 1));
    memset((void *)at, 1, 64);
    p->mappings++;
    for (unsigned i = first; i < first + count; i++) {
        r->handle[i] = index;
        r->continued[i] = i > first;
    }
}

static void unmap(worker *w, range *r) {
    unsigned first = pick(w, PIECES), count = 1 + pick(w, 4);
    bool legal = first + count <= PIECES && !r->continued[first];
    for (unsigned i = first; i < first + count && legal; i++) legal = r->handle[i] >= 0;
    if (legal && first + count < PIECES && r->handle[first + count] >= 0)
        legal = !r->continued[first + count];
    CUdeviceptr at = r->at + first * (CUdeviceptr)GRANULE;
    if (!legal) {
        ILLEGAL(cuMemUnmap(at, count * (size_t)GRANULE));
        return;
    }
    LEGAL(cuMemUnmap(at, count * (size_t)GRANULE));
    for (unsigned i = first; i < first + count; i++) {
        physical *p = &w->handles[r->handle[i]];
        bool last = !r->continued[i];
        r->handle[i] = -1;
        r->continued[i] = false;
        if (!last) continue;
        p->mappings--;
        gone(w, p);
    }
}

static void release(worker *w, physical *p) {
    if (!p->bytes || p->released) {
        ILLEGAL(
            cuMemRelease(p->released ? p->handle : (CUmemGenericAllocationHandle)(uintptr_t)w->stale_memory));
        return;
    }
    LEGAL(cuMemRelease(p->handle));
    p->released = true;
    gone(w, p);
}

static void unreserve(worker *w, range *r) {
    ILLEGAL(cudaFree((void *)r->at));
    ILLEGAL(cuMemAddressFree(r->at, GRANULE));
    if (!free_granules(r, 0, PIECES)) {
        ILLEGAL(cuMemAddressFree(r->at, (size_t)PIECES * GRANULE));
        return;
    }
    LEGAL(cuMemAddressFree(r->at, (size_t)PIECES * GRANULE));
    ILLEGAL(cuMemAddressFree(r->at, (size_t)PIECES * GRANULE));
    ILLEGAL(cuMemUnmap(r->at, GRANULE));
    r->at = 0;
}

void mapping_step(worker *w) {
    range *r = &w->ranges[pick(w, RANGES)];
    physical *p = &w->handles[pick(w, HANDLES)];
    CUdeviceptr base;
    size_t bytes;
    if (!r->at) {
        reserve(w, r);
        return;
    }
    switch (pick(w, 12)) {
    case 0:
    case 1:
        if (!p->bytes) create(w, p);
        break;
    case 2: release(w, p); break;
    case 3:
    case 4:
    case 5: map(w, r); break;
    case 6:
    case 7:
    case 8: unmap(w, r); break;
    case 9:
        LEGAL(cuMemGetAddressRange(&base, &bytes, r->at + pick(w, PIECES * GRANULE)));
        HOLDS(base == r->at && bytes == (size_t)PIECES * GRANULE);
        break;
    case 10: ILLEGAL(cuMemUnmap((CUdeviceptr)w->stale_memory, GRANULE)); break;
    case 11:
        if (!pick(w, 20)) unreserve(w, r);
        break;
    }
}

void mapping_end(worker *w) {
    for (int i = 0; i < HANDLES; i++)
        if (w->handles[i].bytes && !w->handles[i].released) release(w, &w->handles[i]);
    for (int i = 0; i < RANGES; i++) {
        range *r = &w->ranges[i];
        if (!r->at) continue;
        for (int first = 0; first < PIECES; first++) {
            if (r->handle[first] < 0 || r->continued[first]) continue;
            int end = first + 1;
            while (end < PIECES && r->continued[end]) end++;
            LEGAL(cuMemUnmap(r->at + (CUdeviceptr)first * GRANULE, (size_t)(end - first) * GRANULE));
            physical *p = &w->handles[r->handle[first]];
            for (int j = first; j < end; j++) r->handle[j] = -1, r->continued[j] = false;
            p->mappings--;
            gone(w, p);
        }
        unreserve(w, r);
    }
}
