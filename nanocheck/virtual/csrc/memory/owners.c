/* Which of the machine's cards holds a range of addresses: a byte for each granule that one starts in.
 *
 * The table is made when a card other than the first is used, so a machine with one card has none.
 */
#include "memory/owners.h"
#include "base/locks.h"
#include "base/report.h"
#include "memory/arena.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static uint8_t *table;

static uint8_t *made(void) {
    nc_lock(NC_LOCK_ARENA);
    if (!table) {
        void *bytes = mmap(NULL, NC_ARENA_SPAN / NC_GRANULE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (bytes == MAP_FAILED) nc_fatal("no memory for the table of cards (%s)", strerror(errno));
        __atomic_store_n(&table, bytes, __ATOMIC_RELEASE);
    }
    nc_unlock(NC_LOCK_ARENA);
    return table;
}

void nc_owner_set(const void *head, int slot) {
    uint8_t *bytes = __atomic_load_n(&table, __ATOMIC_ACQUIRE);
    if (!bytes && slot) bytes = made();
    size_t offset = bytes ? nc_arena_offset(head) : SIZE_MAX;
    if (offset != SIZE_MAX) __atomic_store_n(&bytes[offset / NC_GRANULE], (uint8_t)slot, __ATOMIC_RELAXED);
}

int nc_owner_of(const void *inside) {
    const uint8_t *bytes = __atomic_load_n(&table, __ATOMIC_ACQUIRE);
    size_t size;
    const char *head = bytes ? nc_arena_head(NC_DEVICE, inside, &size) : NULL;
    size_t offset = head ? nc_arena_offset(head) : SIZE_MAX;
    return offset == SIZE_MAX ? 0 : __atomic_load_n(&bytes[offset / NC_GRANULE], __ATOMIC_RELAXED);
}
