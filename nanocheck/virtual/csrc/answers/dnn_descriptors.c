/* Descriptors of cuDNN's graph API: they keep what was set.
 *
 * Descriptors that were set in another live as long as it, whether or not the program destroys its own (PyTorch's tensors
 * are gone before their graph is run).
 */
#include "answers/dnn_descriptors.h"
#include <stdlib.h>
#include <string.h>

typedef cudnnStatus_t status;
typedef nc_dnn_descriptor descriptor;
_Static_assert(sizeof(descriptor) <= NC_OBJECT_BYTES, "fits");

size_t nc_dnn_size(cudnnBackendAttributeType_t type) {
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

descriptor *nc_dnn_descriptor_of(cudnnBackendDescriptor_t handle) {
    return nc_object_is(handle, NC_GRAPH_DESCRIPTOR) ? handle : NULL;
}
const nc_dnn_attribute *nc_dnn_find(const descriptor *d, int name) { /* the newest stands first and wins */
    const nc_dnn_attribute *a = d ? d->set : NULL;
    while (a && a->name != name) a = a->next;
    return a;
}
const void *nc_dnn_value(cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name, int64_t *count) {
    const nc_dnn_attribute *a = nc_dnn_find(nc_dnn_descriptor_of(of), (int)name);
    if (count) *count = a ? a->count : 0;
    return a ? a->data : NULL;
}
cudnnBackendDescriptor_t nc_dnn_part(cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name) {
    cudnnBackendDescriptor_t part = NULL;
    int64_t count;
    const void *value = nc_dnn_value(of, name, &count);
    if (value && count > 0) memcpy(&part, value, sizeof part);
    return part;
}

status cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out) {
    status made = nc_dnn_create(out, NC_GRAPH_DESCRIPTOR);
    if (made != CUDNN_STATUS_SUCCESS) return made;
    ((descriptor *)*out)->type = type;
    ((descriptor *)*out)->holders = 1;
    return made;
}

static descriptor *held(const nc_dnn_attribute *a, int64_t index) { /* NULL: none */
    cudnnBackendDescriptor_t handle;
    if (!a->descriptors) return NULL;
    memcpy(&handle, a->data + (size_t)index * sizeof handle, sizeof handle);
    return nc_dnn_descriptor_of(handle);
}
static void let_go(descriptor *d) { /* descriptors form no circle, and chains of them are short */
    if (__atomic_sub_fetch(&d->holders, 1, __ATOMIC_ACQ_REL)) return;
    for (nc_dnn_attribute *a = d->set, *next; a; a = next) {
        next = a->next;
        for (int64_t i = 0; i < a->count && a->descriptors; i++)
            if (held(a, i)) let_go(held(a, i));
        free(a);
    }
    nc_dnn_destroy(d, NC_GRAPH_DESCRIPTOR);
}
status cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t handle) {
    NEEDS_DESCRIPTOR(handle);
    if (__atomic_exchange_n(&d->destroyed, true, __ATOMIC_ACQ_REL)) return CUDNN_STATUS_BAD_PARAM;
    let_go(d);
    return CUDNN_STATUS_SUCCESS;
}
status cudnnBackendSetAttribute(cudnnBackendDescriptor_t handle, cudnnBackendAttributeName_t name,
                                cudnnBackendAttributeType_t type, int64_t count, const void *elements) {
    NEEDS_DESCRIPTOR(handle);
    if (count < 0 || (count && !elements)) return CUDNN_STATUS_BAD_PARAM;
    size_t bytes = (size_t)count * nc_dnn_size(type);
    nc_dnn_attribute *a = malloc(sizeof *a + bytes);
    if (!a) return CUDNN_STATUS_INTERNAL_ERROR;
    *a = (nc_dnn_attribute){d->set, (int)name, type == CUDNN_TYPE_BACKEND_DESCRIPTOR, count, bytes};
    if (bytes) memcpy(a->data, elements, bytes);
    for (int64_t i = 0; i < count && a->descriptors; i++)
        if (held(a, i)) __atomic_add_fetch(&held(a, i)->holders, 1, __ATOMIC_RELAXED);
    d->set = a;
    return CUDNN_STATUS_SUCCESS;
}
