/* What calls leave in this rank's memory.
 *
 * What a rank wrote itself, up to NC_EXCHANGED bytes of it, reaches the others, and is reduced. Everything else is
 * unknown on all of them, and nobody waits for it. Ranks of a symmetric training write the same sizes and the
 * same kind of values at the same place: where another rank's part is asked for and it is not there, it is taken to be
 * this rank's own. What an absent root broadcasts, or an absent peer sends, is unknown, unless who asks knows that
 * all ranks have the same (nanocheck_nccl_keep_own).
 */
#include "answers/nccl_contents.h"
#include "answers/nccl_operators.h"
#include "memory/bounds.h"
#include "values/copies.h"
#include "values/known.h"
#include "values/reduce.h"
#include "work/capture.h"
#include <stdlib.h>
#include <string.h>

static size_t bytes_of(const nc_call *call) { return call->count * nc_type_size(call->type); }
static bool is_own(const nc_call *call, int rank) { return rank == call->comm->rank; }
static bool absent(const nc_call *call, int rank) {
    return !is_own(call, rank) && (!call->number || call->group->members[rank] < 0);
}

static __thread bool keeps_own;
/* From now on, in this thread: what an absent root would broadcast is what this rank has in its place; 0: unknown. */
void nanocheck_nccl_keep_own(int keep) { keeps_own = keep; }

/* Whether what this rank takes hangs on what that one gives. */
static bool needs(const nc_call *call, int rank) {
    size_t all = bytes_of(call)
                 * (call->kind == NC_REDUCE_SCATTER || call->kind == NC_ALL_TO_ALL || call->kind == NC_SCATTER
                        ? (size_t)call->comm->ranks
                        : 1);
    bool root = is_own(call, call->root);
    if (all > NC_EXCHANGED || !all || is_own(call, rank)) return false;
    switch (call->kind) {
    case NC_ALL_REDUCE:
    case NC_REDUCE_SCATTER: return call->known > 0;
    case NC_REDUCE: return root && call->known > 0;
    case NC_GATHER: return root;
    case NC_BROADCAST:
    case NC_SCATTER:
    case NC_RECEIVE: return rank == call->root;
    case NC_ALL_GATHER:
    case NC_ALL_TO_ALL: return true;
    default: return false;
    }
}

/* So many bytes from `offset` on of what a rank gives. Its own are copied as they are, also larger ones. */
static void put(void *to, const nc_part *part, size_t offset, size_t bytes, bool own) {
    if (own && part->at + offset == to) return;
    if (own && bytes > NC_EXCHANGED) {
        nc_copy(to, part->at + offset, bytes);
        return;
    }
    size_t known = part->known > offset ? part->known - offset : 0;
    if (known > bytes) known = bytes;
    nc_known_lose_range(to, bytes);
    if (!known || !nc_carried_out(to, known)) return;
    memmove(to, part->at + offset, known);
    nc_known_set(to, known, part->origin);
}

static void reduce(nc_call *call, const nc_part *parts, size_t offset) {
    size_t bytes = bytes_of(call), size = nc_type_size(call->type), known = bytes;
    const char **sources = malloc(sizeof *sources * (size_t)call->comm->ranks);
    nc_origin origin = NC_WRITTEN;
    double scale;
    for (int rank = 0; rank < call->comm->ranks && sources; rank++) {
        size_t there = parts[rank].known > offset ? parts[rank].known - offset : 0;
        if (there < known) known = there;
        sources[rank] = parts[rank].at + offset;
        if (parts[rank].origin > origin) origin = parts[rank].origin;
    }
    known = known / size * size;
    nc_known_lose_range(call->to, bytes);
    if (known && sources && nc_operator_scale(call->operator, & scale) && nc_carried_out(call->to, known)) {
        nc_reduction kind = (int)call->operator<ncclNumOps ? (nc_reduction)call->operator: NC_SUM;
        if (nc_reduce(call->to, sources, call->comm->ranks, known / size, (nc_number)call->type, kind, scale))
            nc_known_set(call->to, known, origin);
    }
    free(sources);
}

static void leave(nc_call *call, const nc_part *parts) {
    size_t bytes = bytes_of(call);
    int own = call->comm->rank, ranks = call->comm->ranks;
    bool root = call->root == own;
    switch (call->kind) {
    case NC_ALL_REDUCE: reduce(call, parts, 0); break;
    case NC_REDUCE:
        if (root) reduce(call, parts, 0);
        break;
    case NC_REDUCE_SCATTER: reduce(call, parts, bytes * (size_t)own); break;
    case NC_BROADCAST:
        if (keeps_own && absent(call, call->root)) break;
        put(call->to, &parts[call->root], 0, bytes, root);
        break;
    case NC_SCATTER: put(call->to, &parts[call->root], bytes * (size_t)own, bytes, root); break;
    case NC_RECEIVE: put(call->to, &parts[call->root], 0, bytes, false); break;
    case NC_GATHER:
        if (!root) break; /* fall through */
    case NC_ALL_GATHER:
    case NC_ALL_TO_ALL:
        for (int rank = 0; rank < ranks; rank++)
            put((char *)call->to + bytes * (size_t)rank, &parts[rank],
                call->kind == NC_ALL_TO_ALL ? bytes * (size_t)own : 0, bytes,
                is_own(call, rank) || absent(call, rank));
        break;
    default: break;
    }
}

static ncclResult_t complete(nc_call *call) {
    nc_part *parts = calloc((size_t)call->comm->ranks, sizeof *parts);
    ncclResult_t result = parts ? ncclSuccess : nc_nccl_fail(ncclSystemError, "no memory for a collective");
    for (int rank = 0; rank < call->comm->ranks && result == ncclSuccess; rank++) {
        if ((call->kind == NC_SEND || call->kind == NC_RECEIVE) && rank != call->root) continue;
        if (call->kind == NC_SEND) continue;
        result = nc_call_part(call, rank, needs(call, rank), &parts[rank]);
        bool unknown = call->kind == NC_BROADCAST || call->kind == NC_SCATTER || call->kind == NC_RECEIVE;
        if (unknown && absent(call, rank)) parts[rank].known = 0;
    }
    if (result == ncclSuccess) result = nc_call_missing(call);
    if (result == ncclSuccess) leave(call, parts);
    nc_call_done(call);
    free(parts);
    return result;
}

static bool captured(const nc_call *call) {
    if (!nc_capturing(call->stream)) return false;
    nc_capture_node(call->stream);
    nc_known_lose_range(call->to, nc_call_takes(call));
    return true;
}

ncclResult_t nc_calls_run(nc_call *calls, int count) {
    ncclResult_t result = ncclSuccess;
    int completed = 0;
    for (int i = 0; i < count && result == ncclSuccess; i++) {
        if (captured(&calls[i])) {
            calls[i].kind = NC_NO_CALL;
            continue;
        }
        while (result == ncclSuccess && !nc_call_post(&calls[i])) /* the others' way is cleared first */
            result = completed < i ? complete(&calls[completed++]) : nc_call_room(&calls[i]);
    }
    for (; completed < count && result == ncclSuccess; completed++)
        if (calls[completed].kind != NC_NO_CALL) result = complete(&calls[completed]);
    return result;
}
