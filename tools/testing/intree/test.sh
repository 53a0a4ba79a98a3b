#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make test-intree": the drivers inside Debian's linux-source-6.12, compiled there as
# modules and built in, for kernels that lack what they could use and for 32 bits, with
# W=1; then a kernel that has them built in is booted, and maps a disk. 15 minutes on
# two cores, most of it that kernel; the next time only what has changed.

set -u
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
cache=$top/tools/testing/.cache/intree

points=0 failed=0
result()	# name status [file]
{
	points=$((points + 1))
	[ "$2" != 0 ] || { echo "ok $points - $1"; return 0; }
	failed=$((failed + 1))
	echo "not ok $points - $1"
	[ -z "${3:-}" ] || grep -E 'warning|error|Error' "$3" | head -n 20 | sed 's/^/#   /'
	return 1
}

mkdir -p "$cache" || exit 1
src=$("$top/tools/testing/vm/source") || exit 1
"$here/intree.sh" "$src" > "$cache/intree.log" 2>&1
result 'the drivers go into the source' $? || cat "$cache/intree.log"

# Configure a kernel in a folder of its own.
configure()	# name arch sed-script
{
	mkdir -p "$cache/$1"
	sed "$3" "$here/config" > "$cache/$1/wanted"
	# the same again would make everything be compiled again
	cmp -s "$cache/$1/wanted" "$cache/$1/had" && return
	make -s -C "$src" O="$cache/$1" ARCH="$2" tinyconfig > "$cache/$1.log" 2>&1 &&
		(cd "$cache/$1" && KCONFIG_CONFIG=.config "$src/scripts/kconfig/merge_config.sh" -m .config wanted) \
			>> "$cache/$1.log" 2>&1 &&
		make -s -C "$src" O="$cache/$1" ARCH="$2" olddefconfig >> "$cache/$1.log" 2>&1 &&
		cp "$cache/$1/wanted" "$cache/$1/had"
}

# All objects of the drivers, and no warning.
compile()	# name arch sed-script config-that-must-be
{
	echo "# $1"
	if ! configure "$1" "$2" "$3" || ! grep -qE "$4" "$cache/$1/.config" ||
	   ! grep -qE '^CONFIG_BLK_DEV_RNBD_SERVER=[ym]' "$cache/$1/.config"; then
		result "$1: configured" 1 "$cache/$1.log"
		return
	fi
	rm -rf "$cache/$1/drivers/block/rnbd"
	make -C "$src" O="$cache/$1" ARCH="$2" -j"$(nproc)" W=1 drivers/block/rnbd/ > "$cache/$1.log" 2>&1
	result "$1: compiles" $? "$cache/$1.log"
	! grep -E 'rnbd/.*(warning|error)' "$cache/$1.log" > "$cache/$1.warnings"
	result "$1: without a warning" $? "$cache/$1.warnings"
	[ "$(grep -cE 'CC .*drivers/block/rnbd/' "$cache/$1.log")" -ge 25 ]
	result "$1: all of it" $?
}
compile 'modules' x86_64 's/^\(CONFIG_.*\(RNBD\|RTRS\)_.*=\)y/\1m/' '^CONFIG_INFINIBAND_RTRS_SERVER=m'
compile 'no-ipv6' x86_64 's/^CONFIG_IPV6=y/# CONFIG_IPV6 is not set/' '^# CONFIG_IPV6 is not set'
compile 'no-debugfs' x86_64 's/^CONFIG_DEBUG_FS=y/# CONFIG_DEBUG_FS is not set/;/FTRACE/d;/TRACERS/d' \
	'^# CONFIG_DEBUG_FS is not set'
compile 'no-tracing' x86_64 '/FTRACE/d;/TRACERS/d' '^# CONFIG_FTRACE is not set'
compile '32-bit' i386 '/64BIT/d' '^CONFIG_X86_32=y'
compile 'kunit-modules' x86_64 \
	's/^\(CONFIG_.*\(RNBD\|RTRS\)_.*=\)y/\1m/;$aCONFIG_KUNIT=m\nCONFIG_RTRS_KUNIT_TEST=y\nCONFIG_RNBD_KUNIT_TEST=y' \
	'^CONFIG_RNBD_KUNIT_TEST=y'
compile 'kunit-built-in' x86_64 \
	'$aCONFIG_KUNIT=y\nCONFIG_RTRS_KUNIT_TEST=y\nCONFIG_RNBD_KUNIT_TEST=y' \
	'^CONFIG_RNBD_KUNIT_TEST=y'
compile 'built-in' x86_64 '' '^CONFIG_INFINIBAND_RTRS_SERVER=y'

echo "# the kernel"
kernel=$cache/built-in
make -C "$src" O="$kernel" -j"$(nproc)" bzImage modules > "$cache/kernel.log" 2>&1
result 'the kernel is built' $? "$cache/kernel.log"
version=$(make -s -C "$src" O="$kernel" kernelrelease 2>/dev/null | tail -n 1)
rm -rf "$cache/modules"
make -s -C "$src" O="$kernel" INSTALL_MOD_PATH="$cache/modules" modules_install > "$cache/install.log" 2>&1
RNBD_VM_CACHE=$cache "$top/tools/testing/vm/run" --kernel "$kernel/arch/x86/boot/bzImage" \
	--modtree "$cache/modules/lib/modules/$version" --modules "$cache" --console "$cache/console" \
	--append brd.rd_size=65536 "$here/boot.sh" > "$cache/boot.tap" 2>&1
status=$?
while read -r line; do
	case $line in
	'ok '*) result "booted: ${line#ok * - }" 0 ;;
	'not ok '*) result "booted: ${line#not ok * - }" 1 ;;
	'#'*) echo "$line" ;;
	esac
done < "$cache/boot.tap"
[ "$status" = 0 ] && grep -q '^1\.\.' "$cache/boot.tap"
result 'booted: to its end' $? || tail -n 20 "$cache/boot.tap" | sed 's/^/#   /'

echo "1..$points"
echo "$((points - failed)) passed, $failed failed"
[ "$failed" = 0 ]
