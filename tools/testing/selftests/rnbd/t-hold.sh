#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A server that is away, does not answer, or has forgotten: how long I/O waits for
# it (io_hold_sec, io_timeout_sec), what userspace is told, that a frozen disk of
# the server's holds up nobody else, and that writes which a server acknowledged
# and lost are not passed off as flushed. A failure means a hang, an error that
# need not be, or a file system that believes in data that is gone.
#
# TAKES: 90 s
. "$(dirname "$0")/lib.sh"

state_is()	# state [rnbdN]
{
	[ "$(disk_attr "${2:-$dev}" state)" = "$1" ]
}

# shellcheck disable=SC2120 # called with and without
read_block()	# [rnbdN]
{
	dd if="/dev/${1:-$dev}" of=/dev/null bs=4k count=1 iflag=direct status=none
}

write_zeroes()
{
	dd if=/dev/zero of="/dev/$dev" bs=4k count=1 seek="${1:-0}" oflag=direct conv=notrunc status=none
}

flush()
{
	dd if=/dev/null of="/dev/$dev" conv=notrunc,fsync status=none
}

server_ends()
{
	unload rnbd_server rtrs_server
}

# Ends in the background with the errno of the read, in /run/read.
read_in_background()
{
	rm -f /run/read
	(
		message=$(read_block 2>&1) && echo 0 > /run/read.tmp ||
			errno_of "${message##*$'\n'}" > /run/read.tmp
		mv /run/read.tmp /run/read
	) &
}
read_ended()	# seconds errno
{
	wait_for "$1" test -e /run/read || { echo 'it has not ended'; return 1; }
	[ "$(cat /run/read)" = "$2" ] || { cat /run/read; return 1; }
}

uevents_start()
{
	python3 - <<-'END' >> /run/uevents &
	import socket
	s = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 15)
	s.bind((0, 1))
	print("ready", flush=True)
	while True:
	    what = s.recv(65536).split(b"\0")[0].decode()
	    if "/rnbd" in what:
	        print(what.split("@")[0], what.rsplit("/", 1)[1], flush=True)
	END
	uevents=$!
	wait_for 20 grep -q ready /run/uevents
}
uevents()	# rnbdN		those that tell of its state, since the last time
{
	sleep 1
	grep -E "^(online|offline) $1\$" /run/uevents | cut -d' ' -f1 | xargs
	: > /run/uevents
}

rtrs_server_args=sess_queue_depth=64
rxe_up 1 2
ram_disks 2 32
modprobe dm_mod
for n in 0 1; do
	dmsetup create disk$n --table "0 65536 linear /dev/ram$n 0" || bail 'no device mapper'
done
check 'the server loads' load_server
check 'the client loads' load_client

# --- not held ------------------------------------------------------------------------

check 'map, not held' map_disk hold /dev/dm-0 "$(path 1)"
check 'uevents can be seen' uevents_start
is 'io_hold_sec' "$(disk_attr "$dev" io_hold_sec)" 0
check 'the server goes' server_ends
check 'closed' wait_for 5 state_is closed
is 'told: offline' "$(uevents "$dev")" offline
read_in_background
check 'I/O fails at once' read_ended 5 EIO
check 'the server comes' load_server
check 'open' wait_for 10 state_is open
is 'told: online' "$(uevents "$dev")" online
check 'I/O' read_block

# --- held ------------------------------------------------------------------------------

check_write 'hold for 30 s' 0 "/sys/block/$dev/rnbd/io_hold_sec" 30
check 'the server goes' server_ends
check 'held' wait_for 5 state_is held
read_in_background
sleep 2
check 'I/O waits' test ! -e /run/read
is 'nothing is told' "$(uevents "$dev")" ''
check 'the server comes' load_server
check 'open' wait_for 10 state_is open
check 'I/O goes on' read_ended 10 0
is 'told: online' "$(uevents "$dev")" online
check 'the server goes' server_ends
check 'held' wait_for 5 state_is held
read_in_background
check_write 'hold for no longer than 3 s' 0 "/sys/block/$dev/rnbd/io_hold_sec" 3
check 'I/O fails then' read_ended 10 EIO
check 'closed' state_is closed
is 'told: offline' "$(uevents "$dev")" offline
check 'the server comes' load_server
check 'open' wait_for 10 state_is open
is 'told: online' "$(uevents "$dev")" online
kill $uevents

# --- another disk in its place ------------------------------------------------------------

check 'the server goes' server_ends
check 'closed' wait_for 10 state_is closed
dmsetup suspend disk0
dmsetup reload disk0 --table '0 32768 linear /dev/ram0 0'
dmsetup resume disk0
check 'the server comes, its disk is smaller' load_server
check 'open' wait_for 10 state_is open
is 'the size is what it is now' "$(size_of "$dev")" $((32768 * 512))
check 'unmap' unmap_disk "$dev"

# --- a frozen disk -------------------------------------------------------------------------

check 'map over two paths' map_disk hold /dev/dm-0 "$(path 1)" "$(path 2)"
frozen=$dev
check_write 'the heartbeat is fast' 0 $RTRS_CLT/hold/hb_interval_ms 500
check_write 'and strict' 0 $RTRS_CLT/hold/hb_missed_max 5
check 'another disk of the session' map_disk hold /dev/dm-1
mate=$dev
check 'another session' map_disk other /dev/ram1 "$(path 1)"
other=$dev
dmsetup suspend disk0
run_fio "$frozen" --rw=randread --bs=4k --iodepth=60 --time_based --runtime=600 > /run/fio.frozen 2>&1 &
fio=$!
# It has 56 chunks, of which a disk takes no more than half if it has a mate.
frozen()
{
	[ "$(awk '{print $1 + $2}' "/sys/block/$frozen/inflight")" -ge 25 ]
}
check 'many requests for a frozen disk' wait_for 20 frozen
sleep 4
check 'a new connection is made all the same' eval \
	'echo 1 > "$(clt_path hold 1)/disconnect" && echo 1 > "$(clt_path hold 1)/reconnect"'
sleep 2
check 'no path has been given up' eval 'path_is hold 1 connected && path_is hold 2 connected'
is 'nor been so meanwhile' "$(cat "$(clt_path hold 2)/stats/reconnects")" '0 0'
check 'the other disk works' fio_verify "$mate" --bs=4k --iodepth=4 --io_size=256k --size=1m
check 'the other session works' fio_verify "$other" --bs=4k --iodepth=4 --io_size=256k --size=1m
dmsetup resume disk0
stop_job $fio
check 'the frozen one has thawed' read_block "$frozen"
check_write 'the heartbeat is slow again' 0 $RTRS_CLT/hold/hb_interval_ms 5000
check 'unmap' eval 'unmap_disk "$mate" && unmap_disk "$other"'
dev=$frozen

# --- a server that does not answer in time ----------------------------------------------------

# Times are those of the block layer, which looks once a second: the first is over after
# five or six, the second after ten to twelve.
check_write 'answers are to come within 5 s' 0 "/sys/block/$dev/rnbd/io_timeout_sec" 5
dmsetup suspend disk0
start=$SECONDS
read_in_background
check 'a request that is not answered ends' read_ended 30 ETIMEDOUT
check 'not before it was tried twice' test $((SECONDS - start)) -ge 9
dmsetup resume disk0
check 'I/O' wait_for 10 read_block
dmsetup suspend disk0
read_in_background
sleep 7
dmsetup resume disk0
check 'one that is answered the second time does not fail' read_ended 10 0
check_write 'answers may take their time' 0 "/sys/block/$dev/rnbd/io_timeout_sec" 0
dmsetup suspend disk0
read_in_background
sleep 5
check 'it takes its time' test ! -e /run/read
dmsetup resume disk0
check 'and is answered' read_ended 10 0
check 'unmap' unmap_disk "$dev"

# --- writes that were acknowledged, and lost ------------------------------------------------------

null_blk wb 32 cache_size=32 || bail 'no null_blk'
restart_server()
{
	server_ends && load_server && wait_for 10 state_is "$1"
}
check 'map a disk with a volatile cache' map_disk hold /dev/wb "$(path 1)" io_hold_sec=30
check 'a write' write_zeroes
check 'a flush' flush
check 'the server restarts: nothing is lost' restart_server open
check 'a write' write_zeroes
check 'is flushed' flush
check 'a write that is not flushed' write_zeroes 1
check 'the server restarts: it is lost' restart_server closed
sleep 2
check 'the disk stays closed' state_is closed
check 'a flush fails' eval '! flush'
read_in_background
check 'so does all I/O' read_ended 5 EIO
check_write 'and it cannot be remapped' EIO "/sys/block/$dev/rnbd/remap_device" 1
check 'unmap' unmap_disk "$dev"
check 'map again' map_disk hold /dev/wb "$(path 1)"
check 'I/O, and a flush' eval 'write_zeroes && flush'
check 'unmap' unmap_disk "$dev"
check 'map a disk without a volatile cache' map_disk hold /dev/ram1 "$(path 1)"
check 'a write that is not flushed' write_zeroes
check 'the server restarts: nothing is lost' restart_server open
check 'I/O, and a flush' eval 'write_zeroes && flush'
check 'unmap' unmap_disk "$dev"
finish
