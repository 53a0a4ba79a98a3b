#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Hours of what may happen in a life: two machines, a disk that is written and verified
# all the time and must not see an error, a second session that is used and abused, and
# one thing after another that goes wrong or that an administrator does, at random. Each
# time all has to work again soon. "make soak MINUTES=60" calls this.
#
# RNBD_SOAK=MINUTES. RNBD_SEED=S: the same order of events as in an earlier run.
#
# LONG
# TAKES: 300 s
# PAIR: --mem 1G
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"

seed=${RNBD_SEED:-$((RANDOM << 15 | RANDOM))}
RANDOM=$seed
echo "# seed $seed"

random()	# from to
{
	echo $(($1 + RANDOM % ($2 - $1 + 1)))
}

# --- the disk that has to survive it all ----------------------------------------------

connected()	# session
{
	[ "$(< "$(clt_path "$1" 1)/state") $(< "$(clt_path "$1" 2)/state")" = 'connected connected' ]
}

sectors()	# rnbdN
{
	awk '{print $3 + $7}' "/sys/block/$1/stat"
}

# Within a minute all is as it was before: both paths, and I/O on the disk.
worst=0
recovers()
{
	local start=$SECONDS before

	wait_for 60 connected soak || { echo 'a path stays away'; return 1; }
	before=$(sectors "$disk")
	wait_for 20 eval '[ "$(sectors "$disk")" != "'"$before"'" ]' || { echo 'no I/O'; return 1; }
	fio_runs || { cat /run/fio.out; return 1; }
	[ $((SECONDS - start)) -le $worst ] || worst=$((SECONDS - start))
}

# --- what goes wrong ----------------------------------------------------------------------

e_cable()		{ cable "$p" off; sleep "0.$RANDOM"; sleep "$(random 0 4)"; cable "$p" on; }
e_both_cables()		{ cable 1 off; cable 2 off; sleep "$(random 0 6)"; cable 2 on; cable 1 on; }
e_silence()		{ disturb "$p" loss 100%; sleep "$(random 1 12)"; disturb "$p" none; }
e_all_silent()		{ disturb 1 loss 100%; disturb 2 loss 100%; sleep "$(random 1 12)"; disturb 1 none; disturb 2 none; }
e_delay()		{ disturb "$p" delay "$(random 20 400)ms"; sleep 3; disturb "$p" none; }
e_disconnect()		{ put "$(clt_path soak "$p")/disconnect" 1; sleep "0.$RANDOM"; put "$(clt_path soak "$p")/reconnect" 1; }
e_reconnect()		{ put "$(clt_path soak "$p")/reconnect" 1; }
# A client that has not noticed yet that the server was away has a path that this has not.
e_server_disconnect()
{
	srv "wait_for 60 eval 'echo 1 > $RTRS_SRV/soak/paths/*9.$p.1*/disconnect'"
}
# If the other one is down the server may not know the session any more, and an added path
# is not to create it: until the other is back it cannot be added (ENXIO).
e_other_path()
{
	put "$(clt_path soak "$p")/remove_path" 1
	wait_for 60 eval 'put $RTRS_CLT/soak/add_path "$(addrs "$p")"; [ -e "$(clt_path soak "$p")" ]'
}
e_client_device()
{
	timeout 60 rdma link delete "rxe$p" || touch /run/hung
	sleep "0.$RANDOM"
	rdma link add "rxe$p" type rxe netdev "roce$p"
}
e_server_device()	{ srv "timeout 60 rdma link delete rxe$p; sleep 1; rdma link add rxe$p type rxe netdev roce$p"; }
e_server_modules()	{ srv 'unload rnbd_server rtrs_server' && server_serves; }
e_server_dies()
{
	end_server && start_server && server_is_up && server_serves
}
e_cpu()			{ cpu_online 1 0; sleep 1; cpu_online 1 1; }
e_no_memory()
{
	head -c $((($(meminfo MemAvailable) * 6 / 10) << 10)) /dev/zero > /dev/shm/hog
	drop_caches
	sleep 1
	rm -f /dev/shm/hog
}

# --- what an administrator does ----------------------------------------------------------------

policies=(min-inflight min-latency round-robin)
e_policy()		{ put $RTRS_CLT/soak/mpath_policy "${policies[RANDOM % 3]}"; }
e_heartbeat()
{
	put $RTRS_CLT/soak/hb_interval_ms "$(random 500 2000)"
	put $RTRS_CLT/soak/hb_missed_max "$(random 3 5)"
}
e_statistics()
{
	cat "$(clt_path soak "$p")"/stats/* > /dev/null
	put "$(clt_path soak "$p")/stats/reset_all" 1
}
e_map_again()		{ put "/sys/block/$disk/rnbd/remap_device" 1; }
# A session of its own, with I/O that may fail, and all that the other one does not bear.
e_another()
{
	local io

	map_disk extra "/dev/scratch$p" "$(path "$p")" "$(path $((3 - p)))" io_hold_sec=$((RANDOM % 2 * 5)) || return 0
	run_fio "$dev" --rw=randrw --bsrange=512-128k --iodepth=16 --time_based --runtime=60 \
		> /run/fio.extra 2>&1 &
	io=$!
	sleep "$(random 0 3)"
	case $((RANDOM % 4)) in
	0) srv "echo 1 > $SRV/devices/scratch$p/sessions/extra/force_close" ;;
	1) put "$(clt_path extra "$p")/remove_path" 1 ;;
	2) cable "$p" off; sleep 1; cable "$p" on ;;
	esac
	put "/sys/block/$dev/rnbd/unmap_device" force
	wait_for 60 eval "! kill -0 $io" || touch /run/hung
	wait $io
	return 0
}
e_many_disks()
{
	local i d

	for i in 1 2; do
		map_disk many "/dev/scratch$i" "$(path 1)" "$(path 2)"
	done
	for d in /sys/block/rnbd*; do
		[ "${d##*/}" = "$disk" ] || unmap_disk "${d##*/}"
	done
	return 0
}

put()		# file text: whether it works or not
{
	timeout 60 bash -c 'echo "$1" > "$2"' - "$2" "$1" 2>/dev/null
	[ $? != 124 ] || touch /run/hung
}

# Also after it has been booted again.
server_serves()
{
	srv 'load_server && for i in 1 2; do
		[ -b /dev/scratch$i ] || null_blk scratch$i 64 discard=1 || exit
	done'
}

# What is short is there more often.
events=(cable cable both_cables silence all_silent delay disconnect disconnect reconnect reconnect
	server_disconnect server_disconnect other_path other_path client_device server_device
	server_modules server_dies cpu no_memory policy heartbeat statistics map_again
	another another another many_disks)
declare -A done_of
round()
{
	local event=${events[RANDOM % ${#events[@]}]}

	p=$(random 1 2)
	"e_$event" > /run/event.out 2>&1 || { cat /run/event.out; echo "$event does not work"; return 1; }
	done_of[$event]=$((${done_of[$event]:-0} + 1))
	[ ! -e /run/hung ] || { echo "$event hangs"; return 1; }
	recovers || { echo "after $event on path $p"; return 1; }
}

soak()		# seconds
{
	local end=$((SECONDS + $1))

	while [ $SECONDS -lt $end ]; do
		round || return
		n=$((n + 1))
	done
}

pair_up
check 'the server is up' server_is_up
check 'its modules and disks' server_serves
check 'the client loads' load_client
check 'map' map_disk soak /dev/vda "$(path 1)" "$(path 2)" io_hold_sec=600
disk=$dev
e_heartbeat
fio_start "$disk" --bsrange=512-128k --iodepth=16 --size=48m --io_size=8m --rate=2m
n=0
minutes=${RNBD_SOAK:-3}
check "$minutes minutes of all that may happen" soak $((minutes * 60))
check 'no error, no wrong block' fio_end
for event in "${!done_of[@]}"; do
	echo "${done_of[$event]} ${event//_/ }"
done | sort -rn | sed 's/^/# /'
echo "# $n events, all well again after $worst s at most"
echo "# $(($(sectors "$disk") / 2048)) MiB written, read and verified"
echo "# reconnects: path 1: $(< "$(clt_path soak 1)/stats/reconnects"), path 2: $(< "$(clt_path soak 2)/stats/reconnects")"
check 'unmap' unmap_disk "$disk"
pair_finish
