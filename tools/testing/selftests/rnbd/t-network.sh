#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two machines, two networks, and what can go wrong between them, while fio writes
# and verifies the whole time: a cable is pulled, packets are lost or late and
# nobody says so, all networks are gone for a while, a file system has much to write
# and the machine no memory left, the server dies and boots again. A failure means
# that what a multipath transport is for does not work.
#
# PAIR: --cpus 1 --mem 768M
# PAIR-LONG: --cpus 2
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"

state_is()	# state
{
	[ "$(disk_attr "$dev" state)" = "$1" ]
}

# Reads of the disk that were answered, so far.
progress()
{
	awk '{print $1 + $5}' "/sys/block/$dev/stat"
}

# There is a steady reader beside fio's rounds, which have pauses.
goes_on()	# seconds: within this time
{
	local before

	before=$(progress)
	wait_for "$1" eval "[ \$(progress) -gt $((before + 5)) ]"
}

both_up()
{
	path_is net 1 connected && path_is net 2 connected
}

has_io()
{
	[ "$(awk '{print $1 + $2}' "/sys/block/$dev/inflight")" != 0 ]
}

# No more of it than leaves CPUs idle: what counts is what happens when.
launch_io()
{
	fio_start "$dev" --bsrange=4k-64k --blockalign=4k --iodepth=8 --size=8m --io_size=1m \
		--rate=1m
	run_fio "$dev" --rw=randread --bs=4k --iodepth=2 --thinktime=50000 --time_based \
		--runtime=3600 > /run/reader.out 2>&1 &
	reader=$!
}

start_io()
{
	launch_io
	goes_on 20
}

end_io()
{
	local status=0

	kill -0 $reader || { cat /run/reader.out; status=1; }
	stop_job $reader
	fio_end && return $status
}

pair_up
check 'the server is up' server_is_up
check 'its modules' srv load_server
check 'the client loads' load_client

# The answer to who has an address may come before ib_core listens for it.
strangers()	# count
{
	local i start

	for ((i = 0; i < $1; i++)); do
		srv ip neigh flush all && ip neigh flush all || return
		start=$SECONDS
		map_disk stranger /dev/vda "$(path 1)" "$(path 2)" && unmap_disk "$dev" || return
		[ $((SECONDS - start)) -lt 10 ] || { echo "round $i: $((SECONDS - start)) s"; return 1; }
	done
}
check 'map where no address is known' strangers "$(rounds 2 100)"

check 'map over two networks' map_disk net /dev/vda "$(path 1)" "$(path 2)"

# --- a cable is pulled ------------------------------------------------------------------

check 'I/O' start_io
n=$(rounds 2 20)
pull()
{
	local i p

	for ((i = 0; i < n; i++)); do
		p=$((i % 2 + 1))
		cable $p off || return
		wait_for 5 link_down roce$p || { echo "$i: the cable is not pulled"; return 1; }
		goes_on 2 || { echo "$i: I/O does not go on within 2 s"; return 1; }
		wait_for 2 path_is net $p disconnected || { echo "$i: path $p is not given up"; return 1; }
		sleep 2
		cable $p on || return
		wait_for 5 both_up || { echo "$i: not used again within 5 s"; return 1; }
	done
}
check "$n times the cable of a path is pulled" pull
check 'no error, no wrong block' end_io

# --- packets are lost, and nobody says so --------------------------------------------------

check_write 'a faster heartbeat' 0 $RTRS_CLT/net/hb_interval_ms 1000
check_write 'that gives up sooner' 0 $RTRS_CLT/net/hb_missed_max 3
sleep 5		# from its next look on
check 'I/O' start_io
n=$(rounds 1 10)
silence()
{
	local i p

	for ((i = 0; i < n; i++)); do
		p=$((i % 2 + 1))
		disturb $p loss 100%
		goes_on 12 || { echo "$i: I/O does not go on"; return 1; }
		wait_for 15 path_is net $p disconnected || { echo "$i: not noticed"; return 1; }
		sleep "$(rounds 4 40)"
		disturb $p none
		wait_for 12 both_up || { echo "$i: not used again"; return 1; }
	done
}
check "$n times all packets of a path are lost" silence
check 'no error, no wrong block' end_io

# --- what is lost with a path stays lost -----------------------------------------------------

# A is sent again and again on path 1, where no packet goes through until it is given
# up and B has taken A's place: nothing may be left there that could still send it.
check_write 'only one path' 0 "$(clt_path net 2)/disconnect" 1
check_write 'which is not given up so soon' 0 $RTRS_CLT/net/hb_missed_max 30
disturb 1 loss 100%
write_block A > /run/a.out 2>&1 &
a=$!
sleep 0.5
check_write 'another one' 0 "$(clt_path net 2)/reconnect" 1
check 'is up' wait_for 5 path_is net 2 connected
# Beside this, as it only returns when the path is down; the heartbeat may be faster.
write_errno "$(clt_path net 1)/disconnect" 1 > /dev/null &
check 'A is acknowledged over it' eval 'wait $a || { cat /run/a.out; false; }'
check 'so is B' write_block B
disturb 1 none
sleep 6
check 'B is on the disk, and stays there' cmp <(get_block) <(pattern B)
write_errno "$(clt_path net 1)/reconnect" 1 > /dev/null	# the server may still have the old one
check 'the first path comes back' wait_for 12 both_up
check_write 'it gives up sooner again' 0 $RTRS_CLT/net/hb_missed_max 3

# --- one path is slow -----------------------------------------------------------------------

disturb 2 delay 600ms
# The heartbeat has to have measured it.
sleep 4
for policy in min-latency min-inflight; do
	check_write "policy $policy" 0 $RTRS_CLT/net/mpath_policy $policy
	before=("$(path_requests net 1)" "$(path_requests net 2)")
	check "$policy: I/O" run_fio "$dev" --rw=randread --bs=4k --iodepth=4 --io_size=2m --size=16m
	fast=$(($(path_requests net 1) - before[0])) slow=$(($(path_requests net 2) - before[1]))
	echo "# $policy: $fast requests on the fast path, $slow on the slow one"
	check "$policy: 90 % on the fast path" test $((fast * 10)) -ge $(((fast + slow) * 9))
done
disturb 2 none
check_write 'the default policy' 0 $RTRS_CLT/net/mpath_policy min-inflight

# --- no network at all, for a while ------------------------------------------------------------

check_write 'I/O is to wait for up to 30 s' 0 "/sys/block/$dev/rnbd/io_hold_sec" 30
check 'I/O' start_io
cable 1 off
cable 2 off
disturb 1 loss 100%
disturb 2 loss 100%
check 'the disk is held' wait_for 30 state_is held
sleep 10
check 'I/O waits' fio_runs
disturb 1 none
disturb 2 none
cable 1 on
cable 2 on
check 'the disk is open again' wait_for 15 state_is open
check 'I/O goes on' goes_on 10
check 'no error, no wrong block' end_io

# --- the server gives the session up, and cannot say so -----------------------------------------

# The client keeps the second path, since no port is up that another could use; and would
# for half a minute, as nothing is sent over it. When the first is back it begins a new
# session on the server, where nothing is open.
no_session()
{
	srv "for p in $RTRS_SRV/net/paths/*; do echo 1 > \$p/disconnect; done
		wait_for 20 test ! -e $RTRS_SRV/net"
}
check_write 'a slow heartbeat' 0 $RTRS_CLT/net/hb_interval_ms 20000
check_write 'that does not give up soon' 0 $RTRS_CLT/net/hb_missed_max 5
sleep 2		# its next look is in 20 s, from now on
cable 1 off
check 'one path is left' wait_for 5 path_is net 1 disconnected
cable 2 off
check 'the server ends the session' no_session
check 'I/O' launch_io
check 'which waits' wait_for 20 has_io
check 'and the client does not know' path_is net 2 connected
check_write 'the faster heartbeat' 0 $RTRS_CLT/net/hb_interval_ms 1000
check_write 'that gives up sooner' 0 $RTRS_CLT/net/hb_missed_max 3
cable 1 on
check 'I/O goes on, in a new session' goes_on 10
cable 2 on
check 'over both paths, in the end' wait_for 12 both_up
check 'no error, no wrong block' end_io

# --- much to write out, and no memory left --------------------------------------------------------

n=$(rounds 6 60)
head -c 16M /dev/urandom > /dev/shm/source
content()	# number
{
	echo "$1"
	cat /dev/shm/source
}
write_files()
{
	local i

	for ((i = 0; i < n; i++)); do
		content $((i % 20)) > "/mnt/$((i % 20))" || return
	done
	sync -f /mnt
}
compare_files()
{
	local i

	for ((i = 0; i < n && i < 20; i++)); do
		content $i | cmp - /mnt/$i || return
	done
}
# Leaves 128 MiB for what is to be written, and all else.
memory_taken()
{
	echo 60 > /proc/sys/vm/dirty_ratio
	echo 40 > /proc/sys/vm/dirty_background_ratio
	mount -o remount,size=90% /dev/shm
	head -c $((($(meminfo MemAvailable) - (128 << 10)) << 10)) /dev/zero > /dev/shm/hog
}
flap_while_writing()
{
	local p=1

	write_files > /run/write.out 2>&1 &
	while kill -0 $! 2>/dev/null; do
		cable $p off && sleep 1 && cable $p on && wait_for 12 both_up || return
		p=$((3 - p))
	done
	wait $! || { cat /run/write.out; return 1; }
}
check 'a file system' eval 'mkfs.ext4 -q "/dev/$dev" && mount "/dev/$dev" /mnt'
check 'no memory is left' memory_taken
check 'files are written while cables are pulled' flap_while_writing
rm /dev/shm/hog
check 'unmount and mount again' eval 'umount /mnt && mount "/dev/$dev" /mnt'
check 'all are what was written' compare_files
check 'unmount' umount /mnt
check 'fsck' fsck.ext4 -fn "/dev/$dev"

# --- the server dies -----------------------------------------------------------------------------

check_write 'I/O is to wait for up to 120 s' 0 "/sys/block/$dev/rnbd/io_hold_sec" 120
check 'I/O' start_io
check 'the server dies' end_server
check 'the disk is held' wait_for 60 state_is held
check 'and boots again' start_server
check 'it is up' server_is_up
check 'its modules' srv load_server
start=$SECONDS
check 'the disk is open again' wait_for 20 state_is open
echo "# $((SECONDS - start)) s after it listens"
check 'I/O goes on' goes_on 10
check 'both paths' wait_for 10 both_up
check 'no error, no wrong block' end_io
check 'unmap' unmap_disk "$dev"

# --- what is held does not hold up anybody -----------------------------------------------------------

check 'map, held for an hour' map_disk net /dev/vda "$(path 1)" "$(path 2)" io_hold_sec=3600
check 'the server ends' srv unload rnbd_server rtrs_server
check 'the disk is held' wait_for 60 state_is held
dd if="/dev/$dev" of=/dev/null bs=4k count=1 iflag=direct > /run/dd.out 2>&1 &
sleep 1
check 'unmap by force is prompt' timeout 10 bash -c "echo force > /sys/block/$dev/rnbd/unmap_device"
check 'and so is the client' eval '! wait $!'
pair_finish
