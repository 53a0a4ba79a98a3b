#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make intree KSRC=DIR": put these drivers into the kernel source DIR, at
# drivers/block/rnbd, in place of what is there. RTRS comes with them, so the
# kernel's own goes, and with it its lines in drivers/infiniband. What is
# described in Documentation/ABI goes where the kernel has it. Running it again
# brings DIR up to date.

set -eu
top=$(cd "$(dirname "$0")/../../.." && pwd)
ksrc=${1:-}

die()
{
	echo "intree: $*" >&2
	exit 1
}

[ -n "$ksrc" ] || die "where to? make intree KSRC=<kernel source>"
[ -f "$ksrc/Kbuild" ] && [ -d "$ksrc/drivers/block" ] && [ -d "$ksrc/drivers/infiniband/ulp" ] ||
	die "$ksrc is no kernel source"
grep -q 'drivers/block/rnbd/Kconfig' "$ksrc/drivers/block/Kconfig" &&
grep -q 'rnbd/' "$ksrc/drivers/block/Makefile" ||
	die "$ksrc has no place for drivers/block/rnbd; Linux 6.12 has"

dst=$ksrc/drivers/block/rnbd
rm -rf "$dst" "$ksrc/drivers/infiniband/ulp/rtrs"
sed -i '\#ulp/rtrs/Kconfig#d' "$ksrc/drivers/infiniband/Kconfig"
sed -i '\#+= rtrs/$#d' "$ksrc/drivers/infiniband/ulp/Makefile"

mkdir -p "$dst/rtrs"
cp "$top"/Kconfig "$top"/.kunitconfig "$top"/rnbd-*.[ch] "$dst"
cp "$top"/rtrs/{Kconfig,Makefile} "$top"/rtrs/rtrs-*.c "$top"/rtrs/rtrs*.h "$dst/rtrs"
rm -f "$dst"/*.mod.c "$dst"/rtrs/*.mod.c
# Of the makefile, what is for kbuild.
{
	echo '# SPDX-License-Identifier: GPL-2.0-or-later'
	sed -n '/^ifneq (\$(KERNELRELEASE),)$/,/^else$/{//!p}' "$top/Makefile"
} > "$dst/Makefile"
cp --remove-destination "$top"/Documentation/ABI/testing/* "$ksrc/Documentation/ABI/testing"
echo "intree: $dst; enable BLK_DEV_RNBD_CLIENT and BLK_DEV_RNBD_SERVER"
