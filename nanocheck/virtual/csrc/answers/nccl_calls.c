/* What ranks say to each other about a call, and what is said of one that does not come or calls something else. */
#include "answers/nccl_calls.h"
#include "values/known.h"
#include <stdio.h>

static const char *const NAMES[NC_CALLS] = {
    "nothing",  "AllReduce", "Reduce",  "ReduceScatter", "Broadcast", "AllGather",
    "AllToAll", "Gather",    "Scatter", "Send",          "Recv",      "CommSplit",
};
static const char *const TYPES[] = {"int8",    "uint8",   "int32",   "uint32",   "int64",      "uint64",
                                    "float16", "float32", "float64", "bfloat16", "float8e4m3", "float8e5m2"};
static const char *const OPERATORS[] = {"sum", "product", "max", "min", "average", "scaled sum"};

size_t nc_type_size(ncclDataType_t type) {
    static const unsigned char BYTES[] = {1, 1, 4, 4, 8, 8,
                                          2, 4, 8, 2, 1, 1}; /* in the order of ncclDataType_t */
    if ((unsigned)type >= sizeof BYTES) nc_fatal("NCCL data type %d is not known", (int)type);
    return BYTES[type];
}

size_t nc_call_gives(const nc_call *call) {
    size_t bytes = call->count * nc_type_size(call->type), ranks = (size_t)call->comm->ranks;
    bool root = call->root == call->comm->rank;
    switch (call->kind) {
    case NC_REDUCE_SCATTER:
    case NC_ALL_TO_ALL: return bytes * ranks;
    case NC_BROADCAST: return root ? bytes : 0;
    case NC_SCATTER: return root ? bytes * ranks : 0;
    case NC_RECEIVE: return 0;
    default: return bytes;
    }
}
size_t nc_call_takes(const nc_call *call) {
    size_t bytes = call->count * nc_type_size(call->type), ranks = (size_t)call->comm->ranks;
    bool root = call->root == call->comm->rank;
    switch (call->kind) {
    case NC_ALL_GATHER:
    case NC_ALL_TO_ALL: return bytes * ranks;
    case NC_GATHER: return root ? bytes * ranks : 0;
    case NC_REDUCE: return root ? bytes : 0;
    case NC_SEND:
    case NC_SPLIT: return 0;
    default: return bytes;
    }
}

static bool message(const nc_call *call) { return call->kind == NC_SEND || call->kind == NC_RECEIVE; }
static bool rooted(nc_call_kind kind) {
    return kind == NC_REDUCE || kind == NC_BROADCAST || kind == NC_GATHER || kind == NC_SCATTER;
}
static bool reduces(nc_call_kind kind) {
    return kind == NC_ALL_REDUCE || kind == NC_REDUCE || kind == NC_REDUCE_SCATTER;
}
/* A scaled sum's operator is a number of each rank's own. The two ends of a message agree on its bytes only. */
static nc_terms terms_of(const nc_call *call) {
    if (message(call))
        return (nc_terms){.operation = NC_SEND, .count = call->count * nc_type_size(call->type)};
    int operator=(int) call->operator<ncclNumOps ? (int)call->operator: (int)ncclNumOps;
    return (nc_terms){call->kind, call->type, reduces(call->kind) ? (uint64_t) operator: 0,
                      rooted(call->kind) ? (uint64_t)call->root : 0, call->count };
}
static const char *describe(nc_terms t, char text[128]) {
    if (t.operation == NC_SEND) snprintf(text, 128, "%llu bytes", (unsigned long long)t.count);
    else if (t.operation == NC_SPLIT) snprintf(text, 128, "%s", NAMES[NC_SPLIT]);
    else {
        int end = snprintf(text, 128, "%s of %llu %s", NAMES[t.operation], (unsigned long long)t.count,
                           TYPES[t.type]);
        if (reduces((nc_call_kind)t.operation))
            end += snprintf(text + end, 128 - (size_t)end, ", %s", OPERATORS[t.reduction]);
        if (rooted((nc_call_kind)t.operation))
            snprintf(text + end, 128 - (size_t)end, ", root %d", (int)t.root);
    }
    return text;
}

static nc_exchange *exchange_of(const nc_call *call) {
    nc_group *g = call->group;
    nc_exchange *x = !g || !g->all                ? NULL
                     : !message(call)             ? g->all
                     : g->members[call->root] < 0 ? NULL
                                                  : nc_group_pair(g, call->root, call->kind == NC_SEND);
    return x && !nc_exchange_foreign(x) ? x : NULL;
}

bool nc_call_post(nc_call *call) {
    size_t gives = nc_call_gives(call);
    call->known = gives <= NC_EXCHANGED ? nc_known_prefix(call->from, gives) : 0;
    nc_exchange *x = exchange_of(call);
    if (!x) return true;
    if (call->kind == NC_RECEIVE) call->number = nc_exchange_next(x);
    else
        call->number = nc_exchange_post(x, (nc_part){terms_of(call), call->from, call->known,
                                                     gives ? nc_known_origin(call->from) : NC_WRITTEN});
    return call->number != 0;
}

/* "before collective 12 (AllGather of 8 float32) of a group of 8" */
static ncclResult_t absent(const nc_call *call, int rank, nc_absence how) {
    char name[64], what[128], since[64] = "";
    const char *did = how == NC_LEFT    ? "destroyed its communicator"
                      : how == NC_ENDED ? "ended"
                      : how == NC_DIED  ? "was killed"
                                        : "did not come";
    if (how == NC_QUIET)
        snprintf(since, sizeof since, " (nothing was heard of it for %g s)", nc_exchange_patience());
    ncclResult_t result = how == NC_QUIET ? ncclSystemError : ncclRemoteError;
    return nc_nccl_fail(
        result, "%s %s %s %s %llu (%s) of a group of %d%s", nc_group_name(call->group, rank, name), did,
        how == NC_QUIET ? "to" : "before",
        message(call) ? call->kind == NC_SEND ? "receiving message" : "sending message" : "collective",
        (unsigned long long)call->number, describe(terms_of(call), what), call->comm->ranks, since);
}

ncclResult_t nc_call_room(const nc_call *call) {
    int who;
    nc_exchange *x = exchange_of(call);
    nc_absence how = x ? nc_exchange_room(x, &who) : NC_CAME;
    if (how == NC_CAME) return ncclSuccess;
    return absent(call, message(call) ? call->root : call->group->ranks_of[who], how);
}

static ncclResult_t agree(const nc_call *call, int rank, nc_terms theirs) {
    nc_terms own = terms_of(call);
    if (!theirs.operation
        || (theirs.operation == own.operation && theirs.type == own.type && theirs.reduction == own.reduction
            && theirs.root == own.root && theirs.count == own.count))
        return ncclSuccess;
    char me[64], other[64], mine[128], other_calls[128];
    return nc_nccl_fail(ncclInvalidUsage, "%s %llu of a group of %d is %s on %s and %s on %s",
                        message(call) ? "message" : "collective", (unsigned long long)call->number,
                        call->comm->ranks, describe(own, mine),
                        nc_group_name(call->group, call->comm->rank, me), describe(theirs, other_calls),
                        nc_group_name(call->group, rank, other));
}

ncclResult_t nc_call_part(nc_call *call, int rank, bool wait, nc_part *part) {
    size_t gives = nc_call_gives(call);
    *part =
        (nc_part){terms_of(call), call->from, call->known, gives ? nc_known_origin(call->from) : NC_WRITTEN};
    nc_exchange *x = exchange_of(call);
    if (!x || !call->number || rank == call->comm->rank || call->group->members[rank] < 0) return ncclSuccess;
    *part = (nc_part){.known = 0};
    int member = message(call) ? 0 : call->group->members[rank];
    nc_absence how = wait ? nc_exchange_await(x, member, call->number, NC_POSTED) : NC_CAME;
    if (how != NC_CAME) return absent(call, rank, how);
    if (!nc_exchange_look(x, member, call->number, part)) return ncclSuccess;
    return agree(call, rank, part->terms);
}

ncclResult_t nc_call_missing(const nc_call *call) {
    nc_absence how;
    nc_exchange *x = message(call) ? NULL : exchange_of(call);
    int who = x && call->number ? nc_exchange_missing(x, call->number, &how) : -1;
    return who < 0 ? ncclSuccess : absent(call, call->group->ranks_of[who], how);
}

void nc_call_done(const nc_call *call) {
    nc_exchange *x = call->number ? exchange_of(call) : NULL;
    if (x) nc_exchange_done(x, call->number);
}
