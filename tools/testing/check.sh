#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make check": what can be said about the source without running it. Builds in
# a copy, so the tree is left as it is. The last line is "N passed, N failed".

set -u
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cache=$here/.cache
KDIR=${KDIR:-$("$here/vm/kdir")} || exit 1
tarball=/usr/src/linux-source-6.12.tar.xz
scripts=$cache/scripts

passed=0 failed=0

result()	# name status output-file
{
	if [ "$2" = 0 ]; then
		echo "ok $((++passed + failed)) - $1"
	else
		echo "not ok $((passed + ++failed)) - $1"
		head -n 200 "$3" | sed 's/^/#   /'
	fi
}

# checkpatch.pl and kernel-doc are in the kernel's source only.
prepare_scripts()
{
	[ "$scripts/done" -nt "$tarball" ] && return
	echo "# taking checkpatch.pl and kernel-doc from $tarball"
	rm -rf "$scripts"
	mkdir -p "$scripts"
	tar -C "$scripts" --strip-components=2 --occurrence=1 -xJf "$tarball" \
		linux-source-6.12/scripts/{checkpatch.pl,spelling.txt,const_structs.checkpatch,kernel-doc} &&
		touch "$scripts/done"
}

sources()	# names as find takes them
{
	(cd "$top" && find . \( -path ./tools/testing/.cache -o -path ./.git -o -name '*.mod.c' \) \
		-prune -o -type f \( "$@" \) -print)
}

# A build says nothing that begins like this, but for some.
complaints='warning:|WARNING:|error:|ERROR:|\*\*\*'
borne=jobserver

copy=$(mktemp -d) || exit 1
trap 'rm -rf "$copy"' EXIT
trap 'exit 130' INT TERM HUP
fresh_copy()
{
	rm -rf "${copy:?}/tree"
	mkdir "$copy/tree"
	sources -name '*.[ch]' -o -name Makefile -o -name Kconfig -o -name Kbuild |
		(cd "$top" && cpio --quiet -pdm "$copy/tree")
}
build()		# make arguments; only complaints are kept
{
	make -C "$copy/tree" -j "$(nproc)" KDIR="$KDIR" "$@" > "$copy/log" 2>&1
	local status=$?
	grep -vE "$borne" "$copy/log" | grep -E -A5 "$complaints" > "$copy/out" && status=1
	[ $status = 0 ] || [ -s "$copy/out" ] || cp "$copy/log" "$copy/out"
	return $status
}

echo "TAP version 13"
prepare_scripts || { echo "Bail out! no scripts from $tarball: run tools/testing/vm/setup"; exit 1; }

fresh_copy
build W=1 KCFLAGS=-Werror
result 'builds without a warning at W=1' $? "$copy/out"

for m in rtrs/rtrs-core rtrs/rtrs-client rtrs/rtrs-server rnbd-client rnbd-server; do
	ko=$copy/tree/$m.ko
	{
		modinfo "$ko"
		[ "$(modinfo -F license "$ko")" = GPL ] &&
		[ -n "$(modinfo -F description "$ko")" ] &&
		[ "$(modinfo -F vermagic "$ko" | cut -d' ' -f1)" = "$(cat "$KDIR/include/config/kernel.release")" ]
	} > "$copy/out" 2>&1
	result "$(basename $m).ko: license, description and version" $? "$copy/out"
done

# With the unit tests, which this kernel compiles and has nothing to link them with.
fresh_copy
borne='jobserver|modpost'
build KUNIT=1 KBUILD_MODPOST_WARN=1 W=1 KCFLAGS=-Werror C=2 CF=-D__CHECK_ENDIAN__
result 'sparse is silent, and so is the build of the unit tests' $? "$copy/out"

checkpatch()	# name option files...
{
	(cd "$top" && perl "$scripts/checkpatch.pl" --strict --no-tree --no-summary \
		--show-types -q "$2" -f "${@:3}") > "$copy/out" 2>&1
	result "checkpatch --strict has nothing to say about $(($# - 2)) files of $1" $? "$copy/out"
	rm -f "$top"/.checkpatch-camelcase.*
}

mapfile -t files < <(sources -name '*.[ch]' | grep -v '^./tools/' | sort)
mapfile -t traces < <(printf '%s\n' "${files[@]}" | grep 'trace\.h$')
mapfile -t plain < <(printf '%s\n' "${files[@]}" | grep -v 'trace\.h$')
checkpatch 'the drivers' --strict "${plain[@]}"
# Those are a language of their own.
checkpatch 'their tracepoints' --ignore=PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE,SPACING,COMPLEX_MACRO,MACRO_ARG_REUSE \
	"${traces[@]}"
# What a program in user space cannot follow: it has no BIT(), strscpy() or
# __printf(), its errnos are positive, and a signal handler needs volatile. And
# functions are called "server" and "session", which are words in messages too.
# The few kernel headers they bring for rnbd-proto.h are made of typedefs.
mapfile -t programs < <(sources -name '*.[ch]' | grep '^./tools/' | sort)
checkpatch 'the test programs' --ignore=BIT_MACRO,STRNCPY,PREFER_DEFINED_ATTRIBUTE_MACRO,USE_NEGATIVE_ERRNO,VOLATILE,EMBEDDED_FUNCTION_NAME,NEW_TYPEDEFS,CAMELCASE \
	"${programs[@]}"
files+=("${programs[@]}")

(cd "$top" && perl "$scripts/kernel-doc" -none -Wall -Werror "${files[@]}") > "$copy/out" 2>&1
result 'kernel-doc comments are complete' $? "$copy/out"

mapfile -t files < <(cd "$top" && grep -rlE --exclude-dir=.cache '^#! ?/bin/(busybox |ba)?sh' tools .ci | sort)
# Names in sysfs are plain, so "ls" may be piped.
if command -v shellcheck > /dev/null; then
	(cd "$top" && shellcheck -x -P SCRIPTDIR -S warning -e SC2010,SC2011,SC2012 \
		"${files[@]}") > "$copy/out" 2>&1
	result "shellcheck has no warning about ${#files[@]} scripts" $? "$copy/out"
else
	echo "# shellcheck is not installed: left out"
fi

"$here/docs.sh" > "$copy/out" 2>&1
result 'the documentation is built without a warning' $? "$copy/out"

echo "1..$((passed + failed))"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
