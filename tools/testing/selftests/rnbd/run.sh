#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Run the tests t-*.sh beside this file, in VMs, and put their TAP together. The
# last line is "N passed, N failed".
#
#	run.sh [--long] [--debug|--coverage] [--jobs N] [--limit SECONDS] [TEST...]
#
# N CPUs of VMs at a time, SECONDS for a test; TEST: map, t-map or t-map.sh.
# --debug: with the kernel that watches itself (debug/build.sh), which takes six times
# as long, and all the time of a CPU. --coverage: the same, and how much of the drivers
# has run is shown in the end.
#
# Output and kernel messages of each are kept in tools/testing/.cache/results.
# VMs have one CPU, for a test with "# CPUS: 2" and with --long two. Tests share them, one
# after another, as long as they leave them as they were (worker.sh). A test that wants
# options of vm/run, in a comment "# VM: ...", has a VM of its own, and one
# with "# PAIR: ..." two of them (vm/pair); with --long it gets those in "# VM-LONG: ..."
# and "# PAIR-LONG: ...", too. "# TAKES: N s" is about how long.
# One with "# LONG" is only run with --long or --debug, one with "# DEBUG" only with
# the latter, or if they are named.

set -u
shopt -s extglob
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../../.." && pwd)
vm=$top/tools/testing/vm
results=$top/tools/testing/.cache/results

# Two more than there are CPUs: tests also wait, for time to pass or for each other's
# end. Not without bound, as each VM wants 2 GiB of memory.
jobs=$(($(nproc) < 7 ? $(nproc) + 2 : 8)) big=$(nproc) debug='' limit=''
while [ $# -gt 0 ]; do
	case $1 in
	--long) export RNBD_LONG=1; big=$jobs ;;
	--debug) debug=1 jobs=$big ;;
	--coverage) debug=1 jobs=$big; export RNBD_GCOV=1 ;;
	--jobs) jobs=$2 big=$2; shift ;;
	--limit) limit=$2; shift ;;
	-*) sed -n '4,22s/^# \{0,1\}//p' "$0"; exit 2 ;;
	*) break ;;
	esac
	shift
done

for m in rtrs/rtrs-core rtrs/rtrs-client rtrs/rtrs-server rnbd-client rnbd-server; do
	[ -e "$top/$m.ko" ] || { echo "run.sh: no $m.ko; run make first" >&2; exit 2; }
done

is_tagged()	# tag test
{
	grep -q "^# $1$" "$2"
}

tests=()
for t; do
	t=$(basename "$t" .sh)
	tests+=("$here/t-${t#t-}.sh")
done
if [ $# = 0 ]; then
	for t in "$here"/t-*.sh; do
		! is_tagged DEBUG "$t" || [ -n "$debug" ] || continue
		! is_tagged LONG "$t" || [ -n "$debug${RNBD_LONG:-}" ] || continue
		tests+=("$t")
	done
fi
mapfile -t tests < <(printf '%s\n' "${tests[@]}" | awk '!seen[$0]++')
for t in "${tests[@]}"; do
	[ -f "$t" ] || { echo "run.sh: no test $(basename "$t" .sh)" >&2; exit 2; }
done

# Here, since a compiler takes its time in a VM.
make -s -j"$(nproc)" -C "$here/peer" || exit 2

if [ -n "$debug" ]; then
	RNBD_VM_OPTIONS=$("$top/tools/testing/debug/build.sh") || exit 2
	export RNBD_VM_OPTIONS RNBD_VM_MEM=3G RNBD_SLOW=6
fi
# Far more than any test takes, unless the host is busy with something else.
[ -n "$limit" ] || limit=$((900 * ${RNBD_SLOW:-1} * (${RNBD_LONG:-0} * 7 + 1)))

test_of()	# .../NR-NAME
{
	local f=${1##*/}

	echo "${f#*-}"
}

asks_for()	# what test
{
	grep -q "^# $1: " "$2"
}

# Without KVM a VM with two CPUs wastes half of its time, spinning, where it cannot have
# two of the host's. So most have one.
cpus_of()	# test
{
	local n

	n=$(sed -n 's/^# CPUS: //p' "$1")
	[ -z "${RNBD_LONG:-}" ] || n=2
	echo "${n:-1}"
}

# A test that has a VM, or two, of its own.
run_one()	# test
{
	local name start=$SECONDS options status run=run what=VM
	name=$(basename "$1" .sh)
	! asks_for PAIR "$1" || { run=pair what=PAIR; }
	options=$(sed -n "s/^# $what: //p" "$1" | tr '\n' ' ')
	[ $what = PAIR ] || options="--cpus $(cpus_of "$1") $options"
	[ -z "${RNBD_LONG:-}" ] || options="$options $(sed -n "s/^# $what-LONG: //p" "$1")"
	[ $run = pair ] || options="--share $queue $options"
	# shellcheck disable=SC2086 # a list
	"$vm/$run" --timeout "$limit" --console "$results/$name.console" \
		$options "$1" > "$results/$name.tap" 2>&1 < /dev/null
	status=$?
	# and the CPU time of the VM, from the line of the children
	times > "$results/$name.times"
	echo "$status $((SECONDS - start)) $(awk -F'[ms ]+' '{cpu = $1 * 60 + $2 + $3 * 60 + $4}
		END {printf "%.0f", cpu}' "$results/$name.times")" > "$results/$name.status"
	mv "$results/$name".{tap,status,times} "$queue"
	: > "$queue/done/0-$name"
}

# A VM for the others.
run_worker()	# id cpus
{
	exec "$vm/run" --timeout $((limit * 20)) --console "$results/$1.console" --cpus "$2" \
		--share "$queue" "$here/worker.sh" "$1" > "$results/$1.out" 2>&1 < /dev/null
}

# Points that are not of a test's own making: it has failed.
failed_as()	# name reason [id of its VM]
{
	echo "not ok 1 - $2" >> "$queue/$1.tap"
	[ -z "${3:-}" ] || sed 's/^/# /' "$results/$3.out" >> "$queue/$1.tap"
	echo "lost 0 0" > "$queue/$1.status"
}

# It has ended: by itself after a test, in the middle of one, or after it.
worker_ended()	# id status
{
	local f name='' what='the VM ended in the middle of it'

	for f in "$queue/running/$1"/*; do
		[ ! -e "$f" ] || name=$(test_of "$f")
	done
	if [ -z "$name" ] && [ "$2" = 0 ]; then
		return
	elif [ -z "$name" ] && [ ! -e "$queue/$1.took" ]; then
		unborn=$((unborn + 1))
		return
	elif [ -z "$name" ]; then
		name=$1 what="the VM ends as it should, after $(cat "$queue/$1.took")"
		left=$((left + 1))
	fi
	cp "$results/$1.console" "$queue/$name.console"
	failed_as "$name" "$what" "$1"
	rm -f "$queue/running/$1"/*
	: > "$queue/done/0-$name"
}

# Seconds since it was started, took a test, or was done with one.
worker_busy()	# id
{
	echo $((EPOCHSECONDS - $(stat -c %Y "$queue/running/$1")))
}

# Renumber a test's points, after those of the tests before it, and make sure
# that it has all of them.
show()		# test
{
	local name=$1 status seconds cpu

	read -r status seconds cpu < "$results/$name.status" || status=lost
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

show_done()
{
	local f

	for f in "$queue/done"/*; do
		[ -e "$f" ] || continue
		mv "$queue/$(test_of "$f")".* "$results"
		show "$(test_of "$f")"
		rm "$f"
		left=$((left - 1))
	done
}

trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT TERM HUP
points=0
mkdir -p "$results" || exit 2
exec 8> "$results/lock"
flock -n 8 || { echo "run.sh: somebody else runs tests here" >&2; exit 2; }
rm -rf "$results"/worker* "$results"/queue.*
# A folder of this run, which a VM that outlives it will not find.
queue=$(mktemp -d "$results/queue.XXXXXX") || exit 2
trap 'rm -rf "$queue"' EXIT
mkdir -p "$queue"/{todo/{1,2},running,done,gcov}
[ -z "${RNBD_GCOV:-}" ] || export RNBD_GCOV=$queue/gcov
: > "$results/all.tap"
echo "TAP version 13"
pairs=() singles=() left=${#tests[@]}
for t in "${tests[@]}"; do
	rm -f "$results/$(basename "$t" .sh)".*
	if asks_for PAIR "$t"; then
		pairs+=("$t")
	elif asks_for VM "$t"; then
		singles+=("$t")
	else
		# what takes longest first, so that not all wait for it in the end
		nr=$(sed -n 's/^# TAKES: \([0-9]*\) s$/\1/p' "$t")
		: > "$queue/todo/$(cpus_of "$t")/$((900 - ${nr:-0}))-$(basename "$t" .sh)"
	fi
done

# VMs do not even boot.
no_vms()
{
	local f

	for f in "$queue/todo"/*/*; do
		[ -e "$f" ] || continue
		failed_as "$(test_of "$f")" "no VM for it" "$last_worker"
		mv "$f" "$queue/done/"
	done
}

# As many at a time as wanted: two machines first, since they take longest, but never
# twice; those with two CPUs as long as the host has some for them or nobody else is
# left; and such with one. Shown in the order in which they end.
declare -A running=()		# what, by the process: pair, single-CPUS, workerN-CPUS
start_next()
{
	if [ "$(cpus '@(pair|*-2)')" -lt $big ]; then
		start_big && return
	fi
	start_single 1 || start_worker 1 || start_big
}
start_big()
{
	if [ ${#pairs[@]} != 0 ] && [[ "${running[*]}" != *pair* ]]; then
		run_one "${pairs[0]}" 8>&- &
		running[$!]=pair
		pairs=("${pairs[@]:1}")
	else
		start_single 2 || start_worker 2
	fi
}
start_single()	# cpus
{
	local i

	for i in "${!singles[@]}"; do
		[ "$(cpus_of "${singles[i]}")" = "$1" ] || continue
		run_one "${singles[i]}" 8>&- &
		running[$!]=single-$1
		unset "singles[i]"
		return
	done
	return 1
}
start_worker()	# cpus
{
	[ "$(workers_free "$1")" -lt "$(ls "$queue/todo/$1" | wc -l)" ] && [ $unborn -lt 3 ] || return
	last_worker=worker$((++workers))-$1
	mkdir "$queue/running/$last_worker"
	run_worker "$last_worker" "$1" 8>&- &
	running[$!]=$last_worker
}
# Those that boot, or are about to take a test.
workers_free()	# cpus
{
	local what n=0

	for what in "${running[@]}"; do
		[[ $what != worker*-$1 ]] || [ -n "$(ls "$queue/running/$what")" ] || n=$((n + 1))
	done
	echo $n
}
reap()
{
	local pid what status

	for pid in "${!running[@]}"; do
		what=${running[$pid]}
		if [[ $what = worker* ]] && [ "$(worker_busy "$what")" -gt "$limit" ]; then
			kill "$pid" 2>/dev/null
		elif kill -0 "$pid" 2>/dev/null; then
			continue
		fi
		wait "$pid"
		status=$?
		[[ $what != worker* ]] || worker_ended "$what" $status
		unset "running[$pid]"
	done
}
cpus()		# pattern of what
{
	local what n=0

	for what in "${running[@]}"; do
		# shellcheck disable=SC2053 # a pattern
		[[ $what = $1 ]] || continue
		[[ $what = *-1 ]]
		n=$((n + 1 + $?))
	done
	echo $n
}
workers=0 unborn=0
while [ "$left" != 0 ] || [ ${#running[@]} != 0 ]; do
	reap
	while [ "$(cpus '*')" -lt "$jobs" ] && start_next; do
		:
	done
	if [ ${#running[@]} = 0 ] && [ -z "$(ls "$queue/done")" ]; then
		[ -n "$(find "$queue/todo" -type f)" ] || break
		no_vms
	fi
	show_done
	sleep 0.5
done
if [ "$left" != 0 ]; then
	echo "not ok $((++points)) - $left tests have no result" | tee -a "$results/all.tap"
fi

failed=$(grep -c '^not ok' "$results/all.tap")
skipped=$(grep -c '^ok .* # SKIP' "$results/all.tap")
[ -z "${RNBD_GCOV:-}" ] ||
	"$top/tools/testing/debug/coverage" "$RNBD_GCOV" "${RNBD_VM_OPTIONS##* }" "$results/missed"
echo "1..$points"
[ "$skipped" = 0 ] || echo "# $skipped skipped"
echo "$((points - failed - skipped)) passed, $failed failed"
[ "$failed" = 0 ] && [ "$points" != 0 ]
