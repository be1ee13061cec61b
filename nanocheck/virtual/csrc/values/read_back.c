/* A count that PyTorch is about to read back for itself (nonzero, unique), told by somebody who knows it.
 *
 * Only the library that launches the kernels knows of what a number is a count, and only Python (nanocheck/observe)
 * has computed it. So Python tells it just before PyTorch's own function, which launches, copies the count to the
 * host in the same thread, and sizes its result by it. The value is this thread's: another one reads its own.
 */
#include "values/read_back.h"
#include <string.h>

enum { MOST = 64 }; /* bytes: nonzero reads one int for each 2^30 elements */
static __thread struct {
    size_t bytes;
    char value[MOST];
} waiting;

bool nc_read_back_tell(const void *value, size_t bytes) {
    waiting.bytes = 0;
    if (bytes > MOST) return false;
    if (bytes) memcpy(waiting.value, value, bytes);
    waiting.bytes = bytes;
    return true;
}

/* Eight bytes are a number, which may be read as an int: the host is little endian. */
const void *nc_read_back_take(size_t bytes) {
    bool narrow = waiting.bytes == 8 && bytes == 4;
    if (!waiting.bytes || (waiting.bytes != bytes && !narrow)) return NULL;
    waiting.bytes = 0;
    return waiting.value;
}

bool nc_read_back_waits(void) { return waiting.bytes != 0; }
