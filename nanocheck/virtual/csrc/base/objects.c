/* The things behind handles.
 *
 * They lie in slots of one address range of their own, which is never given back: whether a handle is one is found
 * out without reading memory that may be gone. A slot says what it holds, or nothing. Slots are used again in
 * the order in which they became free, and not before many are: a handle that was destroyed stays invalid
 * for long.
 */
#include "base/objects.h"
#include "base/locks.h"
#include <string.h>
#include <sys/mman.h>

enum { SLOT = 128, SLOTS = 1 << 22, RESTING = 4096 };
typedef struct {
    uint32_t kind, next; /* the slot that became free after this one */
    char unused[8];
    char body[NC_OBJECT_BYTES];
} slot;
_Static_assert(sizeof(slot) == SLOT, "a body begins at a multiple of 16");

static slot *slots;
static uint32_t touched; /* slots that were ever used */
static uint32_t oldest, newest, resting;

static slot *slot_of(const void *object) { /* NULL: not one of ours */
    const char *base = (const char *)__atomic_load_n(&slots, __ATOMIC_ACQUIRE);
    uintptr_t offset = (uintptr_t)object - (uintptr_t)base;
    bool inside = base && offset < (size_t)SLOT * SLOTS && offset % SLOT == offsetof(slot, body);
    return inside ? (slot *)(base + offset - offsetof(slot, body)) : NULL;
}

static slot *free_slot(void) { /* under the lock */
    if (resting > RESTING || (resting && touched == SLOTS)) {
        slot *found = &slots[oldest];
        oldest = found->next;
        resting--;
        return found;
    }
    return touched < SLOTS ? &slots[touched++] : NULL;
}

void *nc_object_new(nc_kind kind) {
    nc_lock(NC_LOCK_OBJECTS);
    if (!slots) {
        void *range = mmap(NULL, (size_t)SLOT * SLOTS, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (range != MAP_FAILED) __atomic_store_n(&slots, range, __ATOMIC_RELEASE);
    }
    slot *found = slots ? free_slot() : NULL;
    nc_unlock(NC_LOCK_OBJECTS);
    if (!found) return NULL;
    memset(found->body, 0, sizeof found->body);
    __atomic_store_n(&found->kind, kind, __ATOMIC_RELEASE);
    return found->body;
}

bool nc_object_is(const void *object, nc_kind kind) {
    const slot *found = slot_of(object);
    return found && __atomic_load_n(&found->kind, __ATOMIC_ACQUIRE) == kind;
}

bool nc_object_delete(void *object, nc_kind kind) {
    slot *found = slot_of(object);
    uint32_t holds = kind;
    if (!found
        || !__atomic_compare_exchange_n(&found->kind, &holds, NC_NOTHING, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED))
        return false;
    nc_lock(NC_LOCK_OBJECTS);
    uint32_t index = (uint32_t)(found - slots);
    if (resting++) slots[newest].next = index;
    else oldest = index;
    newest = index;
    nc_unlock(NC_LOCK_OBJECTS);
    return true;
}

void nc_objects_each(nc_kind kind, void (*act)(void *)) {
    nc_lock(NC_LOCK_OBJECTS);
    uint32_t count = touched;
    nc_unlock(NC_LOCK_OBJECTS);
    for (uint32_t i = 0; i < count; i++)
        if (nc_object_is(slots[i].body, kind)) act(slots[i].body);
}

int nc_object_number(const void *object) {
    const slot *found = slot_of(object);
    return found ? (int)(found - slots) + 1 : 0;
}

void *nc_object_numbered(int number) {
    slot *base = __atomic_load_n(&slots, __ATOMIC_ACQUIRE);
    return base && number > 0 && number <= SLOTS ? base[number - 1].body : NULL;
}

void *nc_handle(void) {
    static uintptr_t last = 0x10000;
    return (void *)__atomic_add_fetch(&last, 64, __ATOMIC_RELAXED);
}
