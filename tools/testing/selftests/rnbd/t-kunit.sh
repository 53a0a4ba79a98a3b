#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The KUnit tests, which are beside the code: with modules made by "make KUNIT=1", on a
# kernel with CONFIG_KUNIT as the debug kernel is, each module runs its own when it is
# loaded. Each result becomes a point here.
#
# DEBUG
# TAKES: 60 s
# VM: --append kunit.enable=1
. "$(dirname "$0")/lib.sh"

KUNIT=/sys/kernel/debug/kunit
SUITES='rtrs-proto rtrs-imm rtrs-addr rtrs-hb
	rtrs-clt rtrs-clt-path rtrs-clt-recon rtrs-clt-mpath rtrs-clt-buf rtrs-clt-io
	rtrs-clt-latency
	rtrs-srv rtrs-srv-path rtrs-srv-con rtrs-srv-chunk rtrs-srv-limit rtrs-srv-io
	rnbd-proto rnbd-clt-sysfs rnbd-clt-io rnbd-clt-dev
	rnbd-srv rnbd-srv-dev rnbd-srv-io rnbd-srv-order'

# KTAP is nested: tests in a suite, and rows of a table in a test. What a test has to
# say comes before its result. There are over a thousand: no process for each.
points_of()	# suite
{
	local line text test='' why='' results=0

	while IFS= read -r line; do
		text=${line#"${line%%[! ]*}"}
		[[ $line = '        '* ]] || test=
		case $text in
		'# Subtest: '*)
			[[ $line != '        '* ]] || test="${text#*: }: "
			continue
			;;
		'ok '[0-9]*' # SKIP'*) ;;
		'ok '[0-9]*) ok "$1: $test${text#ok * }" ;;
		'not ok '[0-9]*) not_ok "$1: $test${text#not ok * }" "${why%$'\n'}" ;;
		'KTAP version'*|'1..'*|'# module: '*|'# Totals: '*|'# '*': pass:'*|'') continue ;;
		*)
			why=$why${text#\# }$'\n'
			continue
			;;
		esac
		results=$((results + 1))
		why=
	done < "$KUNIT/$1/results"
	[ $results -gt 1 ] || not_ok "$1: has results"
}

mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
[ -d $KUNIT ] || bail 'the kernel has no CONFIG_KUNIT_DEBUGFS'
check 'the server is loaded' load_server
check 'the client is loaded' load_client
for suite in $SUITES; do
	if [ -e "$KUNIT/$suite/results" ]; then
		points_of "$suite"
	else
		not_ok "$suite: has run"
	fi
done
finish
