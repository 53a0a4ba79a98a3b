// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tracepoints of the RTRS client: what rtrs-clt-trace.h declares.
 */
#define CREATE_TRACE_POINTS
#include "rtrs-clt-trace.h"
