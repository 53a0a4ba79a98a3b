// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tracepoints of the RTRS server: what rtrs-srv-trace.h declares.
 */
#define CREATE_TRACE_POINTS
#include "rtrs-srv-trace.h"
