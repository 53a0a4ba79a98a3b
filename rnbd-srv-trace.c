// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tracepoints of the RNBD server: what rnbd-srv-trace.h declares.
 */
#define CREATE_TRACE_POINTS
#include "rnbd-srv-trace.h"
