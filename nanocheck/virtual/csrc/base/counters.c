/* Counters of work that was asked for and not done. */
#include "base/counters.h"
#include "base/clock.h"

static unsigned long long counters[NC_COUNTERS];

void nc_count(nc_counter counter) {
    __atomic_add_fetch(&counters[counter], 1, __ATOMIC_RELAXED);
    if (counter == NC_LAUNCHES) nc_clock_issued();
}
unsigned long long nc_counted(nc_counter counter) {
    return __atomic_load_n(&counters[counter], __ATOMIC_RELAXED);
}
