/* cuDNN's graph API, far enough for attention on the capabilities that prefer it (9.0, 10.x).
 *
 * A descriptor keeps what was set and gives it back; the heuristics offer one engine; its plan asks
 * for no workspace, because what the real one asks for is not published. A record made with it is
 * marked. Everything else of cuDNN (convolutions, recurrent networks) stops with its name.
 */
#include "answers/answers.h"
#include <cudnn_graph.h>
#include <cudnn_version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef cudnnStatus_t status;
typedef struct attribute {
    struct attribute *next;
    int name;
    int64_t count;
    size_t bytes;
    char data[];
} attribute;
typedef struct {
    cudnnBackendDescriptorType_t type;
    attribute *set;
} descriptor; /* behind cudnnBackendDescriptor_t */

static size_t size_of(cudnnBackendAttributeType_t type) {
    switch (type) {
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR: return sizeof(void *);
    case CUDNN_TYPE_INT64: return sizeof(int64_t);
    case CUDNN_TYPE_DOUBLE: return sizeof(double);
    case CUDNN_TYPE_FLOAT: return sizeof(float);
    case CUDNN_TYPE_BOOLEAN: return sizeof(bool);
    case CUDNN_TYPE_CHAR: return sizeof(char);
    case CUDNN_TYPE_FRACTION: return sizeof(cudnnFraction_t);
    default: return sizeof(int); /* INT32 and every enumeration */
    }
}

size_t cudnnGetVersion(void) { return CUDNN_VERSION; }
status cudnnGetProperty(libraryPropertyType which, int *value) {
    *value = which == MAJOR_VERSION ? CUDNN_MAJOR : which == MINOR_VERSION ? CUDNN_MINOR : CUDNN_PATCHLEVEL;
    return CUDNN_STATUS_SUCCESS;
}
size_t cudnnGetCudartVersion(void) { return CUDART_VERSION; }
const char *cudnnGetErrorString(status s) { return s ? "error of the virtual GPU" : "CUDNN_STATUS_SUCCESS"; }
void cudnnGetLastErrorString(char *text, size_t length) {
    if (length) *text = 0;
}
status cudnnCreate(cudnnHandle_t *out) {
    *out = nc_handle();
    return CUDNN_STATUS_SUCCESS;
}
status cudnnDestroy(cudnnHandle_t h) { return CUDNN_STATUS_SUCCESS; }
status cudnnSetStream(cudnnHandle_t h, cudaStream_t s) { return CUDNN_STATUS_SUCCESS; }
status cudnnGetStream(cudnnHandle_t h, cudaStream_t *s) {
    *s = NULL;
    return CUDNN_STATUS_SUCCESS;
}

status cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out) {
    descriptor *d = calloc(1, sizeof *d);
    if (!d) return CUDNN_STATUS_INTERNAL_ERROR;
    d->type = type;
    *out = d;
    return CUDNN_STATUS_SUCCESS;
}
status cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t out) {
    descriptor *d = out;
    for (attribute *a = d->set, *next; a; a = next) {
        next = a->next;
        free(a);
    }
    free(d);
    return CUDNN_STATUS_SUCCESS;
}
status cudnnBackendFinalize(cudnnBackendDescriptor_t d) { return CUDNN_STATUS_SUCCESS; }

status cudnnBackendSetAttribute(cudnnBackendDescriptor_t out, cudnnBackendAttributeName_t name,
                                cudnnBackendAttributeType_t type, int64_t count, const void *elements) {
    descriptor *d = out;
    size_t bytes = (size_t)count * size_of(type);
    attribute *a = malloc(sizeof *a + bytes);
    if (!a) return CUDNN_STATUS_INTERNAL_ERROR;
    *a = (attribute){d->set, (int)name, count, bytes};
    if (bytes) memcpy(a->data, elements, bytes);
    d->set = a; /* the newest stands first and wins */
    return CUDNN_STATUS_SUCCESS;
}

status cudnnBackendGetAttribute(cudnnBackendDescriptor_t out, cudnnBackendAttributeName_t name,
                                cudnnBackendAttributeType_t type, int64_t room, int64_t *count,
                                void *elements) {
    const descriptor *d = out;
    int64_t ignored;
    if (!count) count = &ignored;
    for (const attribute *a = d->set; a; a = a->next) {
        if (a->name != (int)name) continue;
        size_t fits = (size_t)room * size_of(type);
        if (elements) memcpy(elements, a->data, a->bytes < fits ? a->bytes : fits);
        *count = a->count;
        return CUDNN_STATUS_SUCCESS;
    }
    switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS: /* the caller brings the descriptors; they are good as they are */
    case CUDNN_ATTR_ENGINECFG_ENGINE: *count = 1; break;
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
    case CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE:
    case CUDNN_ATTR_ENGINECFG_SHARED_MEMORY_USED:
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
    case CUDNN_ATTR_ENGINE_SM_COUNT_TARGET:
        if (elements && room) memset(elements, 0, size_of(type));
        *count = 1;
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
status cudnnBackendExecute(cudnnHandle_t h, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t variant) {
    nc_count(NC_LAUNCHES);
    nc_count(NC_CUDNN);
    return CUDNN_STATUS_SUCCESS;
}
