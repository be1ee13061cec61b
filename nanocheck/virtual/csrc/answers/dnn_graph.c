/* cuDNN's graph API, far enough for attention (on the capabilities that prefer it: 9.0, 10.x) and convolutions.
 *
 * A descriptor gives back what was set. The heuristics offer engines, whose plans ask for the workspaces
 * that dnn_plan.c knows or guesses; a record made with them is marked.
 */
#include "answers/dnn_plan.h"
#include "values/known.h"
#include <cudnn_version.h>
#include <stdio.h>
#include <string.h>

typedef cudnnStatus_t status;
typedef nc_dnn_descriptor descriptor;

/* An engine's graph may be gone by the time its plan is built: what it needs is handed on. */
status cudnnBackendFinalize(cudnnBackendDescriptor_t handle) {
    NEEDS_DESCRIPTOR(handle);
    cudnnBackendDescriptor_t engine = nc_dnn_part(handle, CUDNN_ATTR_ENGINECFG_ENGINE);
    if (d->type == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR && engine)
        d->plan = nc_dnn_plan_of(nc_dnn_part(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH), 0, false);
    const descriptor *chosen =
        nc_dnn_descriptor_of(nc_dnn_part(handle, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG));
    if (d->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR && chosen) d->plan = chosen->plan;
    return CUDNN_STATUS_SUCCESS;
}

/* The caller brings the descriptors that the heuristics fill in. */
static int64_t offer(const descriptor *d, cudnnBackendDescriptor_t *configurations, int64_t room) {
    cudnnBackendDescriptor_t handle = (cudnnBackendDescriptor_t)d;
    cudnnBackendDescriptor_t graph = nc_dnn_part(handle, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    const cudnnBackendHeurMode_t *mode = nc_dnn_value(handle, CUDNN_ATTR_ENGINEHEUR_MODE, NULL);
    bool fallback = mode && *mode == CUDNN_HEUR_MODE_FALLBACK;
    int offered = nc_dnn_engines(graph, fallback);
    if (!configurations) return offered;
    for (int i = 0; i < offered && i < room; i++) {
        descriptor *configuration = nc_dnn_descriptor_of(configurations[i]);
        if (configuration) configuration->plan = nc_dnn_plan_of(graph, i, fallback);
    }
    return offered < room ? offered : room;
}

static status unset(const descriptor *d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                    int64_t room, int64_t *count, void *elements) {
    size_t bytes = elements && room > 0 ? nc_dnn_size(type) : 0;
    *count = 1;
    switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS: *count = offer(d, elements, room); break;
    case CUDNN_ATTR_ENGINECFG_ENGINE: break; /* the caller brings the descriptor; it is good as it is */
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
#if CUDNN_VERSION >= 90200
    case CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE:
#endif
    {
        int64_t workspace = (int64_t)d->plan.workspace;
        if (bytes) memcpy(elements, &workspace, bytes < sizeof workspace ? bytes : sizeof workspace);
        break;
    }
#if CUDNN_VERSION >= 90200
    case CUDNN_ATTR_ENGINECFG_SHARED_MEMORY_USED:
#endif
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
    case CUDNN_ATTR_ENGINE_SM_COUNT_TARGET:
        if (bytes) memset(elements, 0, bytes);
        break;
    case CUDNN_ATTR_ENGINECFG_INTERMEDIATE_INFO:
    case CUDNN_ATTR_ENGINECFG_KNOB_CHOICES:
    case CUDNN_ATTR_EXECUTION_PLAN_COMPUTED_INTERMEDIATE_UIDS:
    case CUDNN_ATTR_ENGINE_KNOB_INFO:
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
    case CUDNN_ATTR_ENGINE_LAYOUT_INFO:
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE: *count = 0; break;
    default: {
        char symbol[96];
        snprintf(symbol, sizeof symbol, "cudnnBackendGetAttribute (descriptor %d, attribute %d)",
                 (int)d->type, (int)name);
        nc_unimplemented(symbol);
    }
    }
    return CUDNN_STATUS_SUCCESS;
}

status cudnnBackendGetAttribute(cudnnBackendDescriptor_t handle, cudnnBackendAttributeName_t name,
                                cudnnBackendAttributeType_t type, int64_t room, int64_t *count,
                                void *elements) {
    NEEDS_DESCRIPTOR(handle);
    int64_t ignored;
    if (!count) count = &ignored;
    const nc_dnn_attribute *a = nc_dnn_find(d, (int)name);
    if (!a) return unset(d, name, type, room, count, elements);
    size_t fits = room > 0 ? (size_t)room * nc_dnn_size(type) : 0;
    if (elements) memcpy(elements, a->data, a->bytes < fits ? a->bytes : fits);
    *count = a->count;
    return CUDNN_STATUS_SUCCESS;
}

/* Which of a graph's tensors are written is not looked up: all that it was handed are doubtful. */
status cudnnBackendExecute(cudnnHandle_t h, cudnnBackendDescriptor_t handle,
                           cudnnBackendDescriptor_t variant) {
    NEEDS_DESCRIPTOR(handle);
    int64_t count;
    const char *pointers = nc_dnn_value(variant, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, &count);
    for (int64_t i = 0; i < count; i++) {
        void *data;
        memcpy(&data, pointers + (size_t)i * sizeof data, sizeof data);
        if (data) nc_known_doubt(data);
    }
    nc_count(d->plan.convolution ? NC_CONVOLUTIONS : NC_CUDNN);
    return nc_dnn_computed(h);
}
