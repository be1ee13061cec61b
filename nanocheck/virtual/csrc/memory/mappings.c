/* Physical memory and where it is mapped: a table over the device arena with one word for each granule.
 *
 * The word is the handle's object; its lowest bit says that the mapping began in an earlier granule.
 */
#include "memory/mappings.h"
#include "base/locks.h"
#include "base/objects.h"
#include "base/report.h"
#include "memory/arena.h"
#include "memory/budget.h"
#include "memory/owners.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

typedef struct {
    size_t bytes;
    size_t mappings;
    int slot;
    bool released, of_another;
} physical;
enum { CONTINUED = 1 };
#define TABLE_BYTES ((NC_ARENA_SPAN / NC_GRANULE + 1) * sizeof(uintptr_t)) /* one that nothing is mapped at */

static uintptr_t *table; /* everything here under NC_LOCK_MAPPINGS */
static char *last; /* the reservation that was mapped into last: looking it up takes long in a large one */
static size_t last_bytes;

static bool is_handle(void *handle) {
    return nc_object_is(handle, NC_PHYSICAL) && !((physical *)handle)->released;
}

static void drop(physical *memory) {
    if (!memory->released || memory->mappings) return;
    size_t bytes = memory->of_another ? 0 : memory->bytes;
    int slot = memory->slot;
    nc_object_delete(memory, NC_PHYSICAL);
    if (bytes) nc_budget_give(slot, bytes);
}

static void *made(int slot, size_t bytes, bool of_another) {
    physical *memory = nc_object_new(NC_PHYSICAL);
    if (!memory) nc_fatal("no memory for a handle");
    nc_lock(NC_LOCK_MAPPINGS);
    memory->bytes = bytes;
    memory->slot = slot;
    memory->of_another = of_another;
    nc_unlock(NC_LOCK_MAPPINGS);
    return memory;
}

void *nc_physical_new(int slot, size_t bytes) {
    return nc_budget_take(slot, bytes) ? made(slot, bytes, false) : NULL;
}

void *nc_physical_of_another(int slot, size_t bytes) { return made(slot, bytes, true); }

size_t nc_physical_bytes(void *handle) {
    nc_lock(NC_LOCK_MAPPINGS);
    size_t bytes = is_handle(handle) ? ((physical *)handle)->bytes : 0;
    nc_unlock(NC_LOCK_MAPPINGS);
    return bytes;
}

bool nc_physical_release(void *handle) {
    nc_lock(NC_LOCK_MAPPINGS);
    bool held = is_handle(handle);
    if (held) ((physical *)handle)->released = true;
    if (held) drop(handle);
    nc_unlock(NC_LOCK_MAPPINGS);
    return held;
}

int nc_physical_slot(void *handle) {
    nc_lock(NC_LOCK_MAPPINGS);
    int slot = is_handle(handle) ? ((physical *)handle)->slot : -1;
    nc_unlock(NC_LOCK_MAPPINGS);
    return slot;
}

/* The words of these granules; NULL unless they are whole granules of the device arena. */
static uintptr_t *words_of(char *address, size_t bytes) {
    size_t offset = nc_arena_offset(address);
    if (!bytes || bytes % NC_GRANULE || offset == SIZE_MAX || offset % NC_GRANULE) return NULL;
    if (bytes > NC_ARENA_SPAN - offset) return NULL;
    if (!table) {
        table = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                     -1, 0);
        if (table == MAP_FAILED) nc_fatal("no memory for the table of mappings (%s)", strerror(errno));
    }
    return &table[offset / NC_GRANULE];
}

static bool reserved(char *address, size_t bytes) {
    if (!last || address < last || address >= last + last_bytes) {
        last = nc_arena_head(NC_DEVICE, address, &last_bytes);
        if (!last || !nc_arena_size(NC_DEVICE, NC_RESERVATION, last)) last = NULL;
    }
    return last && bytes <= last_bytes - (size_t)(address - last);
}

static bool any(const uintptr_t *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (words[i]) return true;
    return false;
}

bool nc_map(char *address, size_t bytes, size_t offset, void *handle) {
    nc_lock(NC_LOCK_MAPPINGS);
    physical *memory = handle;
    uintptr_t *words = words_of(address, bytes);
    bool fits = words && is_handle(handle) && offset <= memory->bytes && bytes <= memory->bytes - offset
                && reserved(address, bytes) && !any(words, bytes / NC_GRANULE);
    for (size_t i = 0; fits && i < bytes / NC_GRANULE; i++)
        words[i] = (uintptr_t)memory | (i ? CONTINUED : 0);
    if (fits) {
        memory->mappings++;
        nc_owner_set(last, memory->slot);
    }
    nc_unlock(NC_LOCK_MAPPINGS);
    if (fits && !nc_arena_commit(address, bytes))
        nc_fatal("the operating system refused to map %zu bytes", bytes);
    return fits;
}

static bool whole(const uintptr_t *words, size_t count) { /* mappings, none of them cut */
    if (words[0] & CONTINUED || words[count] & CONTINUED) return false;
    for (size_t i = 0; i < count; i++)
        if (!words[i]) return false;
    return true;
}

bool nc_unmap(char *address, size_t bytes) {
    size_t count = bytes / NC_GRANULE;
    nc_lock(NC_LOCK_MAPPINGS);
    uintptr_t *words = words_of(address, bytes);
    bool fits = words && reserved(address, bytes) && whole(words, count);
    for (size_t i = 0; fits && i < count; i++) {
        physical *memory = (physical *)words[i];
        bool first = !(words[i] & CONTINUED);
        words[i] = 0;
        if (!first) continue;
        memory->mappings--;
        drop(memory);
    }
    nc_unlock(NC_LOCK_MAPPINGS);
    return fits;
}

bool nc_unreserve(char *address, size_t bytes) {
    nc_lock(NC_LOCK_MAPPINGS);
    size_t size = nc_arena_size(NC_DEVICE, NC_RESERVATION, address);
    uintptr_t *words = size ? words_of(address, size) : NULL;
    bool gone = words && size == nc_round(bytes) && !any(words, size / NC_GRANULE)
                && nc_arena_remove(NC_DEVICE, NC_RESERVATION, address);
    if (gone && address == last) last = NULL;
    if (gone) nc_arena_forget(NC_DEVICE, address);
    nc_unlock(NC_LOCK_MAPPINGS);
    return gone;
}

bool nc_mapped(const char *address, size_t bytes) {
    uintptr_t begin = (uintptr_t)address & ~(NC_GRANULE - 1), end = nc_round((uintptr_t)address + bytes);
    bool all = true;
    nc_lock(NC_LOCK_MAPPINGS);
    const uintptr_t *words = words_of((char *)begin, end - begin);
    for (size_t i = 0; words && all && i < (end - begin) / NC_GRANULE; i++) all = words[i];
    nc_unlock(NC_LOCK_MAPPINGS);
    return words && all;
}

static int leaving;                 /* the card that is emptied, under the lock */
static void unmap_all(void *head) { /* of one reservation */
    size_t bytes = nc_arena_size(NC_DEVICE, NC_RESERVATION, head);
    uintptr_t *words = bytes && nc_owner_of(head) == leaving ? words_of(head, bytes) : NULL;
    if (!words) return;
    for (size_t i = 0; i < bytes / NC_GRANULE; i++) {
        physical *memory = (physical *)(words[i] & ~(uintptr_t)CONTINUED);
        if (words[i] && !(words[i] & CONTINUED)) memory->mappings--;
        words[i] = 0;
    }
    nc_arena_decommit(head, bytes);
    if (nc_arena_remove(NC_DEVICE, NC_RESERVATION, head)) nc_arena_forget(NC_DEVICE, head);
}
static void release(void *object) {
    physical *memory = object;
    if (memory->slot != leaving) return;
    memory->released = true;
    drop(memory);
}
void nc_mappings_reset(int slot) {
    nc_lock(NC_LOCK_MAPPINGS);
    leaving = slot;
    last = NULL;
    nc_arena_each(NC_DEVICE, NC_RESERVATION, unmap_all);
    nc_objects_each(NC_PHYSICAL, release);
    nc_unlock(NC_LOCK_MAPPINGS);
}
