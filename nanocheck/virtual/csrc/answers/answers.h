/* What every answer includes: the card, the thread's last error, and how a run is stopped. */
#ifndef NANOCHECK_ANSWERS_H
#define NANOCHECK_ANSWERS_H
#include "base/card.h"
#include "base/counters.h"
#include "base/last_error.h"
#include "base/objects.h"
#include "base/report.h"

/* An answer has the signature that NVIDIA gave the function, whatever of it is looked at. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

#endif
