#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A little of fuzz.sh, each time with another seed, which the result says.
#
# LONG
# TAKES: 100 s
export RNBD_FUZZ=${RNBD_FUZZ:-2000}
. "$(dirname "$0")/fuzz.sh"
