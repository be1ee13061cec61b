/* Descriptors of cuDNN's graph API. */
#ifndef NANOCHECK_ANSWERS_DNN_DESCRIPTORS_H
#define NANOCHECK_ANSWERS_DNN_DESCRIPTORS_H
#include "answers/dnn.h"

typedef struct nc_dnn_attribute nc_dnn_attribute;
struct nc_dnn_attribute {
    nc_dnn_attribute *next;
    int name;
    bool descriptors;
    int64_t count;
    size_t bytes;
    char data[];
};
/* Of a graph, as one engine would run it. */
typedef struct {
    bool convolution;
    size_t workspace;
} nc_dnn_plan;
typedef struct {
    cudnnBackendDescriptorType_t type;
    nc_dnn_attribute *set;
    nc_dnn_plan plan; /* of engine configurations and execution plans */
    unsigned holders; /* the program, until it destroys it, and those it was set in */
    bool destroyed;
} nc_dnn_descriptor; /* behind cudnnBackendDescriptor_t */

/* What was set last, and how many elements; NULL: nothing, or no descriptor (any more). */
NC_HIDDEN const void *nc_dnn_value(cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name,
                                   int64_t *count);
/* The same for one descriptor; NULL where there is none. */
NC_HIDDEN cudnnBackendDescriptor_t nc_dnn_part(cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name);

NC_HIDDEN size_t nc_dnn_size(cudnnBackendAttributeType_t type); /* bytes of one element */
NC_HIDDEN nc_dnn_descriptor *
nc_dnn_descriptor_of(cudnnBackendDescriptor_t handle); /* NULL: it is none (any more) */
NC_HIDDEN const nc_dnn_attribute *nc_dnn_find(const nc_dnn_descriptor *d, int name); /* the one set last */

/* Declares `d`, the descriptor; returns where the program destroyed it, or it never was one. */
#define NEEDS_DESCRIPTOR(handle)                         \
    nc_dnn_descriptor *d = nc_dnn_descriptor_of(handle); \
    if (!d || __atomic_load_n(&d->destroyed, __ATOMIC_ACQUIRE)) return CUDNN_STATUS_BAD_PARAM

#endif
