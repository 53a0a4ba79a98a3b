#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Build Documentation/ as HTML, in tools/testing/.cache/docs. Two pages are made
# with scripts of the kernel: that of RTRS's interface from the comments in its
# header, and that of the files in sysfs from Documentation/ABI. Works on a
# copy, so the tree is left as it is. Any warning is a failure.

set -u
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cache=$here/.cache
tarball=/usr/src/linux-source-6.12.tar.xz
scripts=$cache/docs-scripts

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

fail()		# [reason]
{
	echo 'not ok - documentation'
	{
		[ ! -f "$work/log" ] || head -n 200 "$work/log"
		[ -z "${1:-}" ] || echo "$1"
	} | sed 's/^/#   /'
	exit 1
}

# What it prints is a complaint, even if it says that all went well.
quiet()		# command...
{
	"$@" > "$work/log" 2>&1 && [ ! -s "$work/log" ]
}

# They are in the kernel's source only.
prepare_scripts()
{
	[ "$scripts/done" -nt "$tarball" ] && return
	rm -rf "$scripts" &&
		mkdir -p "$scripts" &&
		tar -C "$scripts" --strip-components=2 --occurrence=1 \
			-xJf "$tarball" \
			linux-source-6.12/scripts/{kernel-doc,get_abi.pl} &&
		touch "$scripts/done"
}

make_api()
{
	perl "$scripts/kernel-doc" -rst -Werror "$top/rtrs/rtrs.h" \
		> "$work/doc/rtrs-api.inc" && [ -s "$work/doc/rtrs-api.inc" ]
}

make_abi()
{
	ln -s doc "$work/Documentation" &&
		(cd "$work" && perl "$scripts/get_abi.pl" --rst-source \
			--dir Documentation/ABI/testing rest) \
			> "$work/doc/abi.inc" &&
		[ -s "$work/doc/abi.inc" ]
}

build_html()
{
	rm -rf "$cache/docs" &&
		sphinx-build -W --keep-going -n -q -b html -d "$work/trees" \
			"$work/doc" "$cache/docs"
}

command -v sphinx-build > /dev/null ||
	fail 'there is no sphinx-build: install the package python3-sphinx'
[ -f "$tarball" ] ||
	fail "there is no $tarball: install the package linux-source-6.12"
quiet prepare_scripts || fail "no scripts from $tarball"
cp -r "$top/Documentation" "$work/doc" || fail
quiet make_api || fail 'rtrs/rtrs.h'
quiet make_abi || fail 'Documentation/ABI'
quiet build_html || fail 'sphinx-build'
echo 'ok - documentation'
