/* The memory that the members of an exchange share. Every word of it is read and changed in one piece. */
#ifndef NANOCHECK_EXCHANGE_FILE_H
#define NANOCHECK_EXCHANGE_FILE_H
#include "base/base.h"

enum {
    NC_HEADERS = 256 /* messages behind which nobody needs to be */,
    NC_PAYLOAD = 4 << 20 /* bytes unread */
};

/* What the members say to each other in turn: all post the n-th message, and read whose they need. */
typedef struct nc_exchange nc_exchange;
/* What the members must agree on. */
typedef struct {
    uint64_t operation, type, reduction, root, count;
} nc_terms;
typedef struct {
    uint64_t pid, born;
    uint64_t state;  /* nc_member_state */
    uint64_t posted; /* messages */
    uint64_t done;   /* messages that this member has read of the others */
    uint64_t rank;   /* in the run, and one more; 0: not known */
    uint32_t bell;   /* changes with each of these; whoever waits sleeps on it */
    uint32_t listeners;
    char unused[72];
} nc_member;
typedef enum { NC_NOT_YET, NC_HERE, NC_HAS_LEFT, NC_HAS_ENDED } nc_member_state;
typedef struct {
    uint64_t number; /* 0: it is being written */
    nc_terms terms;
    uint64_t known, at, end, origin; /* the bytes lie at `at`; the ring's head behind them */
    char unused[48];
} nc_header;

struct nc_exchange {
    nc_exchange *next;
    uint64_t key;
    int members, own;
    bool shared;
    unsigned process;         /* see nc_exchange_foreign */
    char *memory;             /* members, headers, payloads */
    uint64_t last, reclaimed; /* messages posted; of these, those whose bytes nobody needs */
    uint64_t head, tail;      /* of the ring of bytes */
    uint64_t read;            /* the messages of the others, by a member that never posts */
    long long looked;         /* when the others' processes were last looked for */
    int global[];             /* rank of each member in the run; -1: not known */
};

static inline nc_member *nc_member_of(const nc_exchange *x, int member) {
    return (nc_member *)(void *)x->memory + member;
}
static inline nc_header *nc_header_of(const nc_exchange *x, int member, uint64_t number) {
    nc_header *first = (nc_header *)(void *)(x->memory + sizeof(nc_member) * (size_t)x->members);
    return first + (size_t)member * NC_HEADERS + number % NC_HEADERS;
}
static inline char *nc_payload_of(const nc_exchange *x, int member) {
    size_t before = (sizeof(nc_member) + sizeof(nc_header) * NC_HEADERS) * (size_t)x->members;
    return x->memory + before + (size_t)member * NC_PAYLOAD;
}
static inline size_t nc_exchange_bytes(int members) {
    return (sizeof(nc_member) + sizeof(nc_header) * NC_HEADERS + NC_PAYLOAD) * (size_t)members;
}

/* `shared`: a file in NANOCHECK_MACHINE, for other processes; else for threads of this one. `own`: this member's place
 * among them. `global`: which ranks of the run they are, as far as that is known (-1: not). NULL: no memory, or no such folder; errno says why. */
NC_HIDDEN nc_exchange *nc_exchange_open(uint64_t key, int members, int own, bool shared, const int *global);
NC_HIDDEN void nc_exchange_close(nc_exchange *exchange);
/* Of a process that was forked from the one that opened it: nobody hears it. */
NC_HIDDEN bool nc_exchange_foreign(const nc_exchange *exchange);
NC_HIDDEN int nc_exchange_rank(const nc_exchange *exchange, int member); /* in the run; -1: not known */
NC_HIDDEN void nc_exchange_ring(nc_member *member);                      /* wakes whoever waits for it */

#define NC_READ(variable) __atomic_load_n(&(variable), __ATOMIC_SEQ_CST)
#define NC_WRITE(variable, value) __atomic_store_n(&(variable), value, __ATOMIC_SEQ_CST)

#endif
