// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tracepoints of the RNBD client: what rnbd-clt-trace.h declares.
 */
#define CREATE_TRACE_POINTS
#include "rnbd-clt-trace.h"
