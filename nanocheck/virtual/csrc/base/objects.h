/* The things behind handles: streams, events, graphs, physical memory, handles of libraries, communicators. */
#ifndef NANOCHECK_OBJECTS_H
#define NANOCHECK_OBJECTS_H
#include "base/base.h"

typedef enum {
    NC_NOTHING,
    NC_STREAM,
    NC_EVENT,
    NC_GRAPH,
    NC_PHYSICAL,
    NC_BLAS,
    NC_COMM,
    NC_SOLVER,
    NC_SPARSE,
    NC_SPARSE_MATRIX,
    NC_FFT_PLAN,
    NC_DNN,
    NC_GRAPH_DESCRIPTOR, /* cuDNN's descriptors from here on */
    NC_TENSOR,
    NC_FILTER,
    NC_RECURRENT,
    NC_SEQUENCE,
    NC_DROPOUT
} nc_kind;
enum { NC_OBJECT_BYTES = 112 }; /* the most that any of them keeps */

NC_HIDDEN void *nc_object_new(nc_kind kind); /* all zero; NULL: no memory */
/* False for NULL, for one that was deleted, for another kind, and for any other address. */
NC_HIDDEN bool nc_object_is(const void *object, nc_kind kind);
/* False: it is none (any more). Of several threads that delete it, one succeeds. */
NC_HIDDEN bool nc_object_delete(void *object, nc_kind kind);
NC_HIDDEN void nc_objects_each(nc_kind kind, void (*act)(void *object)); /* those there are now */
/* For interfaces whose handles are integers; 0: no object. The other way round, ask nc_object_is of what comes back. */
NC_HIDDEN int nc_object_number(const void *object);
NC_HIDDEN void *nc_object_numbered(int number);
NC_HIDDEN void *nc_handle(void); /* of a thing without contents: a number that was never given out before */

#endif
