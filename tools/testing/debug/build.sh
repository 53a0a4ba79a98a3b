#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Build the debug kernel, from Debian's linux-source-6.12 and "config" beside this
# file, and our modules for it, with their KUnit tests. The kernel takes a quarter of
# an hour on two cores, the first time and when one of the two has changed.
#
# Prints, as options for vm/run, where everything is. What it says on the way goes to
# the standard error. With RNBD_GCOV set the modules count which of their lines run.

set -u
unset MAKEFLAGS		# who calls this may be a make with variables of its own
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
cache=$top/tools/testing/.cache/debug
kernel=$cache/kernel root=$cache/root modules=$cache/modules${RNBD_GCOV:+-gcov}

say()
{
	echo "debug: $*" >&2
}
die()
{
	say "$*"
	exit 1
}

mkdir -p "$kernel" "$modules" || exit 1
exec 8> "$cache/lock"
flock 8
src=$("$top/tools/testing/vm/source") || exit 1
kmake()
{
	make -s -C "$src" O="$kernel" ARCH=x86_64 -j"$(nproc)" "$@" >> "$cache/log" 2>&1
}

# "tinyconfig" is everything off: what is on is what "config" wants, and what that needs.
configure()
{
	say 'configuring the kernel'
	kmake tinyconfig &&
		(cd "$kernel" && KCONFIG_CONFIG=.config "$src/scripts/kconfig/merge_config.sh" -m \
			.config "$here/config") >> "$cache/log" 2>&1 &&
		kmake olddefconfig || return
	# an option that has been renamed, or lacks what it depends on, would just be gone
	grep -E '^CONFIG_.*=(y|m)$' "$here/config" | grep -vxFf "$kernel/.config" > "$cache/lost"
	[ ! -s "$cache/lost" ] || { say 'not possible here:'; cat "$cache/lost" >&2; return 1; }
}

# Some sign of life.
progress()
{
	local n

	while sleep 20 && kill -0 $$ 2>/dev/null; do
		n=$(find "$kernel" -name '*.o' | wc -l)
		say "building the kernel: $n objects so far, of about 1750"
	done
}

build_kernel()
{
	local pid status

	progress &
	pid=$!
	kmake bzImage modules
	status=$?
	kill $pid
	wait $pid 2>/dev/null
	[ $status = 0 ] || return
	rm -rf "$root"
	kmake INSTALL_MOD_PATH="$root" modules_install
}

# All that it is made of.
inputs=$(cat "$here/config" "$here/build.sh" "$src/Makefile" | sha256sum | cut -d' ' -f1)
if [ "$(cat "$cache/done" 2>/dev/null)" != "$inputs" ]; then
	: > "$cache/log"
	rm -f "$cache/done"
	say "a debug kernel, from $src: a quarter of an hour on two cores"
	if ! configure || ! build_kernel; then
		tail -n 20 "$cache/log" >&2
		die "cannot build it, see $cache/log"
	fi
	echo "$inputs" > "$cache/done"
fi

# Our modules, beside those for Debian's kernel and not in their place.
say 'building the modules'
cp -p "$top/Kconfig" "$modules/" && install -D -m 644 -p -t "$modules/rtrs" "$top/rtrs/Kconfig" ||
	die 'cannot copy the sources'
for dir in . rtrs tools/testing/modules; do
	mkdir -p "$modules/$dir"
	cp -p "$top/$dir"/{Makefile,*.[ch]} "$modules/$dir" || die 'cannot copy the sources'
	rm -f "$modules/$dir"/*.mod.c		# of the other kernel
done
{ make -s -C "$modules" KDIR="$kernel" KUNIT=1 ${RNBD_GCOV:+GCOV_PROFILE=y} -j"$(nproc)" &&
	make -s -C "$modules/tools/testing/modules" KDIR="$kernel"; } > "$cache/modules.log" 2>&1 || {
	grep -E 'warning|error' "$cache/modules.log" | head -n 20 >&2
	die "the modules do not build, see $cache/modules.log"
}
echo "--kernel $kernel/arch/x86/boot/bzImage --modtree $(echo "$root"/lib/modules/*) --modules $modules"
