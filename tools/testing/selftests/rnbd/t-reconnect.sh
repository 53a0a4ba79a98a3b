#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Paths that go and come back while fio writes and verifies: by hand, because a
# port went down, because the server went away. A failure means that a fault in
# the network which should not be noticed becomes an error, or wrong data, or the
# end of a path for good.
#
# TAKES: 55 s
. "$(dirname "$0")/lib.sh"

rxe_up 1 2
check 'the server loads' load_server
check 'the client loads' load_client
null_blk disk 64
check 'map over two paths' map_disk rec /dev/disk "$(path 1)" "$(path 2)"

both_up()
{
	path_is rec 1 connected && path_is rec 2 connected
}

start_io()
{
	fio_start "$dev" --bsrange=512-128k --iodepth=16 --size=32m --io_size=8m
}

# --- by hand ---------------------------------------------------------------------

start_io
n=$(rounds 4 100)
by_hand()
{
	local i p

	for ((i = 0; i < n; i++)); do
		p=$((i % 2 + 1))
		[ "$(write_errno "$(clt_path rec $p)/disconnect" 1)" = 0 ] || return
		path_is rec $p disconnected || { echo "$i: not disconnected"; return 1; }
		fio_runs || return
		[ "$(write_errno "$(clt_path rec $p)/reconnect" 1)" = 0 ] ||
			{ echo "$i: cannot reconnect"; return 1; }
		both_up || { echo "$i: not up"; return 1; }
	done
}
check "$n times disconnect and reconnect" by_hand
check 'disconnect by hand' eval '[ "$(write_errno "$(clt_path rec 1)/disconnect" 1)" = 0 ]'
sleep 5
check 'it stays so' path_is rec 1 disconnected
check_write 'reconnect' 0 "$(clt_path rec 1)/reconnect" 1
check 'no error, no wrong block' fio_end
is 'reconnects are counted' "$(cat "$(clt_path rec 1)/stats/reconnects")" "$((n / 2 + 1)) 0"

# --- the server ends a path -------------------------------------------------------------

start_io
# It is not down for long enough to be sure to be seen so.
back_again()	# N reconnects-before
{
	[ "$(< "$(clt_path rec "$1")/stats/reconnects")" != "$2" ] && both_up
}
srv_disconnects()
{
	local before i p

	for i in 1 2 3 4; do
		p=$((i % 2 + 1))
		before=$(< "$(clt_path rec $p)/stats/reconnects")
		echo 1 > "$(srv_path rec $p)/disconnect" || return
		wait_for 10 back_again $p "$before" || { echo "$i: not back within 10 s"; return 1; }
	done
}
check 'the server disconnects a path, it comes back by itself' srv_disconnects
check 'no error, no wrong block' fio_end

# --- a port goes down and comes up ---------------------------------------------------------

# It loses its carrier, as when a cable is pulled. If the whole network device is
# set down, Soft RoCE's queue pair for management fails for good at the next
# message, and no connection can be made on that device any more.

start_io
n=$(rounds 3 20)
flaps()
{
	local i p

	for ((i = 0; i < n; i++)); do
		p=$((i % 2 + 1))
		ip link set roce$p carrier off
		wait_for 5 link_down roce$p || { echo "$i: the link is not down"; return 1; }
		wait_for 2 path_is rec $p disconnected || { echo "$i: not noticed within 2 s"; return 1; }
		sleep 1
		ip link set roce$p carrier on
		wait_for 5 both_up || { echo "$i: not used again within 5 s"; return 1; }
	done
}
check "$n link flaps" flaps
check 'no error, no wrong block' fio_end

# --- add and remove ----------------------------------------------------------------------------

start_io
check_write 'a path that is there' EEXIST $RTRS_CLT/rec/add_path "$(addrs 1)"
check_write 'no path' EINVAL $RTRS_CLT/rec/add_path "10.9.1.2"
check_write 'remove path 1' 0 "$(clt_path rec 1)/remove_path" 1
check 'it is gone' test ! -e "$(clt_path rec 1)"
check_write 'add it again' 0 $RTRS_CLT/rec/add_path "$(addrs 1)"
check 'it is connected' both_up
check 'no error, no wrong block' fio_end

# --- a device goes -----------------------------------------------------------------------------

start_io
sleep 1
check 'the RDMA device of path 2 is deleted under I/O' timeout 20 rdma link delete rxe2
check 'path 2 is down' path_is rec 2 disconnected
check 'and comes back with it' eval 'rdma link add rxe2 type rxe netdev roce2 && wait_for 5 both_up'
check 'no error, no wrong block' fio_end

# --- the server goes and comes back ------------------------------------------------------------

check_write 'no limit of attempts' 0 $RTRS_CLT/rec/max_reconnect_attempts -1
check_write 'less than that' EINVAL $RTRS_CLT/rec/max_reconnect_attempts -2
check_write 'more than 9999' EINVAL $RTRS_CLT/rec/max_reconnect_attempts 10000
check 'the server is unloaded' unload rnbd_server rtrs_server
is_closed()
{
	[ "$(disk_attr "$dev" state)" = closed ]
}
check 'the disk is closed' wait_for 5 is_closed
check 'I/O: an error, at once' eval '! timeout 5 dd if=/dev/$dev of=/dev/null bs=4k count=1 iflag=direct'
sleep "$(rounds 8 90)"
check 'the server is loaded' load_server
start=$SECONDS
is_open()
{
	[ "$(disk_attr "$dev" state)" = open ]
}
check 'the disk is open again by itself' wait_for 10 is_open
check 'both paths' wait_for 10 both_up
echo "# after $((SECONDS - start)) s"
check 'it works' fio_verify "$dev" --bs=4k --iodepth=4 --io_size=1m --size=16m
check 'unmap' unmap_disk "$dev"
finish
