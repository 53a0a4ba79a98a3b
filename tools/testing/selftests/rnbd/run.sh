#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Run the tests t-*.sh beside this file, each in a VM of its own, and put their
# TAP together. The last line is "N passed, N failed".
#
#	run.sh [--long] [--jobs N] [TEST...]	TEST: map, t-map or t-map.sh
#
# Output and kernel messages of each are kept in tools/testing/.cache/results.
# A test may ask for options of vm/run in a comment "# VM: ...", and for more
# of them, with --long, in "# VM-LONG: ...". With "# PAIR: ..." (and "# PAIR-LONG:
# ...") it gets a second machine beside it (vm/pair).

set -u
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../../.." && pwd)
results=$top/tools/testing/.cache/results

jobs=2
while [ $# -gt 0 ]; do
	case $1 in
	--long) export RNBD_LONG=1 ;;
	--jobs) jobs=$2; shift ;;
	-*) sed -n '5,12s/^# \{0,1\}//p' "$0"; exit 2 ;;
	*) break ;;
	esac
	shift
done

for m in rtrs/rtrs-core rtrs/rtrs-client rtrs/rtrs-server rnbd-client rnbd-server; do
	[ -e "$top/$m.ko" ] || { echo "run.sh: no $m.ko; run make first" >&2; exit 2; }
done

tests=()
if [ $# = 0 ]; then
	tests=("$here"/t-*.sh)
else
	for t; do
		t=$(basename "$t" .sh)
		tests+=("$here/t-${t#t-}.sh")
	done
fi
for t in "${tests[@]}"; do
	[ -f "$t" ] || { echo "run.sh: no test $(basename "$t" .sh)" >&2; exit 2; }
done

# Here, since a compiler takes its time in a VM.
make -s -C "$here/peer" || exit 2
mkdir -p "$results"

# Far more than any test takes, unless the host is busy with something else.
limit=900
[ -z "${RNBD_LONG:-}" ] || limit=7200

is_pair()	# test
{
	grep -q '^# PAIR: ' "$1"
}

run_one()	# test
{
	local name start=$SECONDS options status run=run what=VM
	name=$(basename "$1" .sh)
	! is_pair "$1" || { run=pair; what=PAIR; }
	options=$(sed -n "s/^# $what: //p" "$1" | tr '\n' ' ')
	[ -z "${RNBD_LONG:-}" ] || options="$options $(sed -n "s/^# $what-LONG: //p" "$1")"
	# shellcheck disable=SC2086 # a list
	"$top/tools/testing/vm/$run" --timeout "$limit" --console "$results/$name.console" \
		$options "$1" > "$results/$name.tap" 2>&1 < /dev/null
	status=$?
	# and the CPU time of the VM, in the last line
	{ echo "$status $((SECONDS - start))"; times; } > "$results/$name.status"
}

# Renumber a test's points, after those of the tests before it, and make sure
# that it has all of them.
show()		# test
{
	local name status seconds cpu
	name=$(basename "$1" .sh)
	read -r status seconds < "$results/$name.status" || status=lost
	cpu=$(awk -F'[ms ]+' 'END {printf "%.0f", $1 * 60 + $2 + $3 * 60 + $4}' \
		"$results/$name.status")
	echo "# $name: $seconds s, of CPU time $cpu s"
	awk -v name="$name" -v n="$points" -v status="$status" '
		/^(not )?ok [0-9]+/ {
			bad = /^not/
			failed += bad
			sub(/^(not )?ok [0-9]+ -? */, "")
			print (bad ? "not " : "") "ok " ++n " - " name ": " $0
			mine++
			next
		}
		/^1\.\.[0-9]+/ { plan = substr($0, 4) + 0; next }
		/^TAP version/ { next }
		{ print ($0 ~ /^#/ ? "" : "# ") $0 }
		function lost(why) { print "not ok " ++n " - " name ": " why }
		END {
			if (plan == "")
				lost("ended without its plan, status " status)
			else if (plan != mine)
				lost("has " mine " points, planned " plan)
			else if (status != 0 && !failed)
				lost("status " status)
		}' "$results/$name.tap" | tee -a "$results/all.tap"
	points=$(grep -cE '^(not )?ok ' "$results/all.tap")
}

trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT TERM HUP
points=0
: > "$results/all.tap"
echo "TAP version 13"
for t in "${tests[@]}"; do
	rm -f "$results/$(basename "$t" .sh)".*
done

# As many at a time as wanted, but never twice two machines, and those first, since
# they take longest. Shown in the order in which they end.
declare -A running=()
pairs=() singles=()
for t in "${tests[@]}"; do
	if is_pair "$t"; then
		pairs+=("$t")
	else
		singles+=("$t")
	fi
done
start()		# test
{
	run_one "$1" &
	running[$!]=$1
}
show_next()
{
	local pid

	wait -n -p pid "${!running[@]}"
	show "${running[$pid]}"
	unset "running[$pid]"
}
pair_runs()
{
	local t

	for t in "${running[@]}"; do
		! is_pair "$t" || return 0
	done
	return 1
}
while [ ${#pairs[@]} != 0 ] || [ ${#singles[@]} != 0 ]; do
	if [ ${#running[@]} -ge "$jobs" ]; then
		show_next
	elif [ ${#pairs[@]} != 0 ] && ! pair_runs; then
		start "${pairs[0]}"
		pairs=("${pairs[@]:1}")
	elif [ ${#singles[@]} != 0 ]; then
		start "${singles[0]}"
		singles=("${singles[@]:1}")
	else
		show_next
	fi
done
while [ ${#running[@]} != 0 ]; do
	show_next
done

failed=$(grep -c '^not ok' "$results/all.tap")
skipped=$(grep -c '^ok .* # SKIP' "$results/all.tap")
echo "1..$points"
[ "$skipped" = 0 ] || echo "# $skipped skipped"
echo "$((points - failed - skipped)) passed, $failed failed"
[ "$failed" = 0 ] && [ "$points" != 0 ]
