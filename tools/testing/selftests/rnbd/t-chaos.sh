#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Faults at random, again and again: rounds of map, I/O, something that goes
# wrong, unmap; and two administrators who write to every file of a session at
# random while I/O runs. I/O may fail here. What may not is the kernel: no splat,
# no hang, no leak, nothing left over.
#
# CPUS: 2
# TAKES: 35 s
. "$(dirname "$0")/lib.sh"

# A session is sooner there and gone with fewer chunks.
rtrs_server_args=sess_queue_depth=64

rxe_up 1 2
null_blk disk 64
check 'the server loads' load_server
check 'the client loads' load_client

# --- rounds -------------------------------------------------------------------------

put()		# file text: whether it works or not
{
	timeout 60 bash -c 'echo "$1" > "$2"' - "$2" "$1" 2>/dev/null
	[ $? != 124 ] || touch /run/hung
}

fault()
{
	local p=$((RANDOM % 2 + 1))

	case $((RANDOM % 8)) in
	0) put "$(clt_path chaos $p)/disconnect" 1 ;;
	1) put "$(srv_path chaos $p)/disconnect" 1 ;;
	2) put "$(clt_path chaos $p)/remove_path" 1 ;;
	3) ip link set roce$p carrier off; sleep 0.$RANDOM; ip link set roce$p carrier on ;;
	4) timeout 60 rdma link delete rxe$p || touch /run/hung
	   rdma link add rxe$p type rxe netdev roce$p ;;
	5) put $SRV/devices/disk/sessions/chaos/force_close 1 ;;
	6) put "$(clt_path chaos $p)/reconnect" 1 & put "$(clt_path chaos $p)/disconnect" 1; wait $! ;;
	7) put "$(srv_path chaos 1)/disconnect" 1; put "$(srv_path chaos 2)/disconnect" 1 ;;
	esac
}

round()
{
	local hold=$((RANDOM % 2 * 5)) io

	map_disk chaos /dev/disk "$(path 1)" "$(path 2)" io_hold_sec=$hold || return
	run_fio "$dev" --rw=randrw --bsrange=512-128k --iodepth=32 --time_based --runtime=60 \
		> /run/fio.chaos 2>&1 &
	io=$!
	sleep 0.$RANDOM
	fault
	put "/sys/block/$dev/rnbd/unmap_device" force
	wait_for 60 eval "! kill -0 $io" || { echo 'I/O hangs'; return 1; }
	wait $io
	wait_for 20 test ! -e "/sys/block/$dev" || { echo 'the disk is still there'; return 1; }
	[ ! -e /run/hung ] || { echo 'a write to sysfs hangs'; return 1; }
}

run_rounds()	# count
{
	local i

	for ((i = 0; i < $1; i++)); do
		round || { echo "in round $i"; return 1; }
	done
}

check 'the first rounds' run_rounds 2
drop_caches
slab=$(meminfo Slab)
n=$(rounds 5 1000)
check "$n rounds" run_rounds "$n"
wait_for 20 test ! -e $RTRS_SRV/chaos
drop_caches
sleep 2
echo "# slab: $slab KiB before, $(meminfo Slab) KiB after"
check 'no more slab than before' test $(($(meminfo Slab) - slab)) -lt 8192

# --- two administrators -----------------------------------------------------------------

words=(1 0 -1 2 force normal '' 5 100 9999 min-inflight min-latency round-robin MI "$(addrs 1)"
	"$(addrs 2)" 16384 65536 'x y z' 4294967296)
administrator()	# seconds
{
	local end=$((SECONDS + $1)) files

	while [ $SECONDS -lt $end ]; do
		mapfile -t files < <(find $RTRS_CLT/two/ $RTRS_SRV/two/ "/sys/block/$dev/rnbd/" \
			$SRV/devices/ -type f -perm -u=w ! -name unmap_device ! -name uevent \
			! -path '*/power/*' 2>/dev/null)
		[ ${#files[@]} != 0 ] || { sleep 0.1; continue; }
		put "${files[RANDOM % ${#files[@]}]}" "${words[RANDOM % ${#words[@]}]}"
		# it may be gone
		cat "${files[RANDOM % ${#files[@]}]}" > /dev/null 2>&1
	done
	return 0
}

check 'map' map_disk two /dev/disk "$(path 1)" "$(path 2)"
(
	while [ -e "/sys/block/$dev" ]; do
		run_fio "$dev" --rw=randrw --bsrange=512-128k --iodepth=16 --time_based --runtime=5
		sleep 0.2
	done
) > /run/fio.two 2>&1 &
io=$!
seconds=$(rounds 7 300)
administrator "$seconds" &
one=$!
administrator "$seconds" &
two=$!
check "two administrators, $seconds seconds" wait $one $two
check 'no write to sysfs hangs' test ! -e /run/hung
check 'unmap' unmap_disk "$dev" force
check 'I/O ends' wait_for 60 eval "! kill -0 $io"
wait $io
finish
