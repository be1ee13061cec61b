/* What becomes of a graph of cuDNN. */
#ifndef NANOCHECK_ANSWERS_DNN_PLAN_H
#define NANOCHECK_ANSWERS_DNN_PLAN_H
#include "answers/dnn_descriptors.h"

/* How many engines are offered for this graph, and what the one of this number needs. */
NC_HIDDEN int nc_dnn_engines(cudnnBackendDescriptor_t graph, bool fallback);
NC_HIDDEN nc_dnn_plan nc_dnn_plan_of(cudnnBackendDescriptor_t graph, int engine, bool fallback);

#endif
