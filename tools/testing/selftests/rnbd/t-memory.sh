#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Memory: what a session takes, on either side, and that all of it is given back.
# A server with a hundred clients runs out of memory where the first fails, and
# one that is up for a year where the second does.
#
# Each side is measured alone, with a peer in user space as the other: its memory
# is not the kernel's. What the kernel has is all that is neither free, nor page
# cache, nor a process's. The queues of Soft RoCE, which are the RDMA driver's and
# not ours, are listed in /proc/vmallocinfo. kmalloc() keeps account of who has
# called it, for which it takes a little more memory.
#
# CPUS: 2
# VM: --append slub_debug=U,kmalloc-*
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peer/peer.sh"

# KASAN keeps what was freed last for a while, up to 1 MiB for each CPU: names of the
# files that are looked at here, for instance.
quarantine=0
! grep -q kasan_quarantine /proc/kallsyms || quarantine=$((1024 * $(nproc)))

# Give back what caches hold in reserve.
shrink_slabs()
{
	local cache

	for cache in /sys/kernel/slab/*/shrink; do
		[ -L "${cache%/shrink}" ] || echo 1 > "$cache"
	done
	sleep 1
}

# Reclaim what can be, let RCU and work that was put off come to an end. Twice: names
# in sysfs that were looked at are only marked by the first reclaim, and hold what they
# are names of; and with an object that KASAN lets go goes what kmemleak noted of it.
settle()
{
	sleep 2
	drop_caches
	drop_caches
	shrink_slabs
	shrink_slabs
}

# In KiB. Pages in the lists of a CPU are free.
kernel_memory()
{
	awk '
	FILENAME == "/proc/meminfo" { m[$1] = $2 }
	FILENAME == "/proc/zoneinfo" && $1 == "count:" { lists += $2 }
	FILENAME == "/proc/vmallocinfo" && /rxe_queue_init/ { queues += $2 / 1024 - 4 }
	END {
		print m["MemTotal:"] - m["MemFree:"] - lists * 4 - m["Buffers:"] - m["Cached:"] - \
			m["AnonPages:"] - m["SwapCached:"] - m["PageTables:"] - queues
	}' /proc/meminfo /proc/zoneinfo /proc/vmallocinfo
}

# The first time it is not looked at.
memory_when_settled()	# once|again
{
	[ "$1" = again ] || return
	settle
	kernel_memory
}

# What programs could have, with the pages in the lists of a CPU, which are
# several MiB and come and go.
available_memory()
{
	awk '
	FILENAME == "/proc/meminfo" && $1 == "MemAvailable:" { available = $2 }
	FILENAME == "/proc/zoneinfo" && $1 == "count:" { lists += $2 }
	END { print available + lists * 4 }' /proc/meminfo /proc/zoneinfo
}

# Objects of kmalloc() in use: how many, of which size, allocated where. The RDMA
# core has a ring of receive buffers for management, always as many, which it
# allocates here or there.
kmallocs()
{
	local cache

	for cache in /sys/kernel/debug/slab/kmalloc-*; do
		awk -v cache="${cache##*/}" '
			{ sub(/ib_mad_(post_receive_mads|recv_done)[^ ]*/, "ib_mad_ring") }
			$1 ~ /^[0-9]+$/ { n[cache " " $2 " " ($3 ~ /^\[/ ? $3 : "")] += $1 }
			END { for (where in n) print n[where], where }' "$cache/alloc_traces"
	done
}

# Where an object a session was allocated that still is.
grown()		# before sessions
{
	kmallocs > /run/kmalloc.after
	awk -v sessions="$2" '{ n = $1; $1 = "" }
		NR == FNR { before[$0] = n; next }
		n - before[$0] >= sessions * 0.8 { print before[$0] + 0, "then", n, "now:", $0; bad = 1 }
		END { exit !bad }' "$1" /run/kmalloc.after
}

lane()		# number count
{
	local i

	for ((i = 0; i < $2; i++)); do
		map_disk "lane$1-$i" "/dev/ram$1" "$(path 1)" &&
			dd if="/dev/$dev" of=/dev/null bs=64k count=16 iflag=direct status=none &&
			unmap_disk "$dev" || { echo "session lane$1-$i"; return 1; }
	done
}

# Five at a time: most of what a session takes is time for others to be done.
sessions()	# count, a multiple of five
{
	local l lanes=() status=0

	for l in 0 1 2 3 4; do
		lane $l $(($1 / 5)) &
		lanes+=($!)
	done
	for l in "${lanes[@]}"; do
		wait "$l" || status=1
	done
	return $status
}

no_session()
{
	! ls $RTRS_CLT $RTRS_SRV | grep -v : | grep .
}

# One point: no more than so much, in KiB, which is shown either way.
at_most()	# name kib limit
{
	echo "# $1: $2 KiB, limit $3 KiB"
	check "$1 within its limit" test "$2" -le "$3"
}

rxe_up 1
ram_disks 5 32
dd if=/dev/zero of=/dev/ram0 bs=1M oflag=direct status=none 2>/dev/null	# all its pages
check 'the peers can be built' peer_build
check 'the server loads' load_server
check 'the client loads' load_client
is 'CPUs and queue depth, as the limits are for' \
	"$(nproc) $(cat /sys/module/rtrs_server/parameters/sess_queue_depth)" '2 512'

# --- a client's session -----------------------------------------------------------

# Twice: what is allocated once, for ever, by whomever, is there after the first.
for i in once again; do
	check "a server in user space, $i" peer_server_start --sessions 0 --lax --export /dev/peer
	before=$(memory_when_settled $i)
	check 'map' map_disk client /dev/peer "$(path 1)" "dest_port=$PEER_PORT"
	during=$(memory_when_settled $i)
	check 'unmap' unmap_disk "$dev"
	after=$(memory_when_settled $i)
	peer_server_stop 'a server in user space'
done
at_most 'a session of a client' $((during - before)) $((16 << 10))
at_most 'what is left of it' $((after - before)) $((1024 + quarantine))

# --- a server's session ----------------------------------------------------------

# This test of its own idles in a session "peer-hb" for 13 seconds; stopped, for as
# long as we need, but for less than makes the server give it up.
for i in once again; do
	before=$(memory_when_settled $i)
	"$PEER/peer-client" --server 10.9.1.2 --source 10.9.1.1 --cids 3 --dev /dev/ram0 \
		--slow --only 'heartbeats of the server' > /run/peer.tap 2>&1 &
	peer=$!
	check "a client in user space, $i" wait_for 20 test -d $RTRS_SRV/peer-hb
	sleep 1
	kill -STOP $peer
	during=$(memory_when_settled $i)
	kill -KILL $peer
	wait $peer
	check 'its session ends' wait_for 20 no_session
	after=$(memory_when_settled $i)
done
# 512 chunks of 128 KiB, and they are all there.
at_most 'a session of a server, without its chunks' $((during - before - (64 << 10))) $((4 << 10))
check 'its chunks are counted' test $((during - before)) -ge $((64 << 10))
at_most 'what is left of it' $((after - before)) $((1024 + quarantine))

# --- all is given back ------------------------------------------------------------

# With fewer chunks a session is sooner there and gone; what is lost of it is not.
check 'the server is unloaded' unload rnbd_server rtrs_server
rtrs_server_args=sess_queue_depth=64
check 'and loaded for smaller sessions' load_server

amounts=(MemAvailable Slab 'all memory' Percpu VmallocUsed)
limits=($((2048 + quarantine)) $((2048 + quarantine)) $((2048 + quarantine)) 128 128)

# What of each is in use, in KiB, or less by as much.
amounts_now()
{
	# how many kernel threads idle just now is nobody's loss
	echo "$((-$(available_memory))) $(meminfo Slab) $(kernel_memory) $(meminfo Percpu)" \
		"$(($(meminfo VmallocUsed) - $(meminfo KernelStack)))"
}

# What so many sessions lose that have come and gone. Sets $lost.
sessions_lose()	# count
{
	local before after i

	read -ra before <<< "$(amounts_now)"
	kmallocs > /run/kmalloc.before
	check "$1 sessions" sessions "$1"
	check 'are gone' wait_for 10 no_session
	settle
	read -ra after <<< "$(amounts_now)"
	lost=()
	for i in "${!amounts[@]}"; do
		lost[i]=$((after[i] - before[i]))
	done
}

within_limits()
{
	local i

	for i in "${!amounts[@]}"; do
		[ "${lost[i]}" -le "${limits[i]}" ] || return
	done
}

check 'the first sessions' sessions 10
check 'are gone' wait_for 10 no_session
settle
n=$(rounds 50 500)
sessions_lose "$n"
# With KASAN and kmemleak at work more than that comes and goes; what is lost is lost
# each time.
for i in again 'and again'; do
	[ $quarantine != 0 ] && ! within_limits || break
	sessions_lose "$n"
done
for i in "${!amounts[@]}"; do
	at_most "lost of ${amounts[i]}" "${lost[i]}" "${limits[i]}"
done
# What kernfs frees by RCU, in batches, may take some more time.
nothing_grown()
{
	wait_for 30 eval "! grown /run/kmalloc.before $n" || ! grown /run/kmalloc.before "$n"
}
check 'no object a session is left' nothing_grown
check 'kmalloc() is accounted for' test "$(wc -l < /run/kmalloc.after)" -gt 100
finish
