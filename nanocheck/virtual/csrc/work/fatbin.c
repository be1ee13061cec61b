/* Which architectures a CUDA module carries, read from the module itself.
 *
 * CUB and Thrust compare what the runtime says of a kernel with the architectures they were compiled
 * for, so the answer must be one that is in the wheel. A fat binary is a header (magic 0xBA55ED50,
 * u16 version, u16 header size, u64 payload size) followed by entries (u16 kind: 1 PTX, 2 ELF;
 * u16 version; u32 header size; u64 payload size; ...; u32 architecture at byte 28).
 */
#include "work/fatbin.h"
#include <string.h>

typedef struct {
    uint32_t magic, version;
    const uint8_t *data;
    const void *file;
} wrapper;

static uint64_t read_bits(const uint8_t *at, int bytes) {
    uint64_t value = 0;
    memcpy(&value, at, (size_t)bytes); /* little endian, as the host */
    return value;
}

/* Largest architecture (sm_86 is 86) that runs on the card: an ELF of the same major version and a
 * minor not above the card's, or any PTX not above it. 0 when the module has none; where the build is
 * not the one that machines with this card have, the nearest that is not newer answers for it. */
int nc_fatbin_arch(const void *module, const nc_card *card) {
    const wrapper *w = module;
    int capability = card->major * 10 + card->minor, best = 0, nearest = 0;
    if (!w || w->magic != 0x466243b1 || !w->data || read_bits(w->data, 4) != 0xBA55ED50) return capability;
    const uint8_t *at = w->data + read_bits(w->data + 6, 2);
    const uint8_t *end = at + read_bits(w->data + 8, 8);
    while (at + 32 <= end) {
        uint64_t kind = read_bits(at, 2), header = read_bits(at + 4, 4), payload = read_bits(at + 8, 8);
        int arch = (int)read_bits(at + 28, 4);
        bool runs = kind == 1 ? arch <= capability : arch / 10 == card->major && arch <= capability;
        if (runs && arch > best) best = arch;
        if (arch <= capability && arch > nearest) nearest = arch;
        if (header < 32 || payload > (uint64_t)(end - at)) break;
        at += header + payload;
    }
    return best || !card->stand_in ? best : nearest;
}
