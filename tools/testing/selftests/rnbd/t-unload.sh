#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Modules are unloaded in every order, also under mapped disks and running I/O.
# The server may go at any time: its clients' I/O fails, and they can unmap. The
# client may not, as long as it has a disk. What fails here is a machine that
# hangs at shutdown or has to be rebooted for an update.
#
# TAKES: 50 s
. "$(dirname "$0")/lib.sh"

# A session is sooner there and gone with fewer chunks.
rtrs_server_args=sess_queue_depth=64

# fio itself, not a function, so that its process is ours.
start_io()	# rnbdN
{
	fio --name=unload --filename="/dev/$1" --allow_file_create=0 --ioengine=libaio --direct=1 \
		--thread --rw=randrw --bsrange=512-124k --iodepth=32 --size=32m \
		--time_based --runtime=100 > /run/fio.bg 2>&1 &
	fio=$!
	io_from=$(requests "$1")
	wait_for 20 eval "[ \$(requests $1) -gt $((io_from + 200)) ]"
}

requests()	# rnbdN
{
	awk '{print $1 + $5}' "/sys/block/$1/stat"
}

io_failed()	# seconds
{
	wait_for "$1" eval "! kill -0 $fio" || { echo 'it still runs'; return 1; }
	! wait "$fio" && grep -q 'err=' /run/fio.bg
}

state_is()	# rnbdN state
{
	[ "$(disk_attr "$1" state)" = "$2" ]
}

# One point: a module is in use.
refused()	# module
{
	check "$1 is in use" eval "! timeout 10 rmmod $1"
}

nothing_left()
{
	! ls -d /sys/block/rnbd* 2>/dev/null | grep . && ! ls $RTRS_CLT | grep .
}

rxe_up 1 2
ram_disks 2 64

# --- what is in use stays ---------------------------------------------------------

check 'the server loads' load_server
check 'the client loads' load_client
refused rtrs_core
refused rtrs_client
refused rtrs_server
check 'map' map_disk keep /dev/ram0 "$(path 1)"
refused rnbd_client
refused rtrs_client
check 'the disk works on' dd if="/dev/$dev" of=/dev/null bs=4k count=1 iflag=direct
check 'I/O' start_io "$dev"
refused rnbd_client
check 'I/O goes on' kill -0 $fio
kill $fio
wait $fio
check 'unmap' unmap_disk "$dev"
check 'then the client can be unloaded' rmmod rnbd_client
check 'and all below it' rmmod rtrs_client
check 'and be loaded again' load_client

# --- the server goes under I/O -------------------------------------------------------

for how in 'rnbd_server' 'rnbd_server rtrs_server'; do
	load_server
	check 'map' map_disk gone /dev/ram0 "$(path 1)" "$(path 2)"
	check 'a second disk, idle' map_disk gone /dev/ram1
	idle=$dev
	dev=$(basename "$(readlink "$CLT/devices/!dev!ram0@gone")")
	check 'I/O' start_io "$dev"
	for m in $how; do
		check "$m can be unloaded under it" timeout 60 rmmod "$m"
	done
	check 'I/O fails' io_failed 30
	for d in "$dev" "$idle"; do
		check 'the disk is closed' wait_for 10 state_is "$d" closed
		check 'new I/O fails at once' eval "! timeout 10 dd if=/dev/$d of=/dev/null bs=4k count=1 iflag=direct"
	done
	is 'no disk is open on the server' "$(cat /sys/module/brd/refcnt)" 0
	check 'both are unmapped' unmap_all
	check 'no session is left' nothing_left
	check_map_errno 'without a server: refused' "$(loaded rnbd_server && echo EEXIST || echo ECONNREFUSED)" \
		"sessname=gone device_path=/dev/ram0 $(path 1)"
	load_server
	check 'a new server serves' map_disk gone /dev/ram0 "$(path 1)"
	check 'and works' fio_verify "$dev" --bs=4k --iodepth=16 --io_size=1m --size=16m
	check 'unmap' unmap_disk "$dev"
done

# --- force while it is mounted -----------------------------------------------------------

check 'map' map_disk force /dev/ram0 "$(path 1)"
other=$dev
check 'another on the session' map_disk force /dev/ram1
mkfs.ext4 -q "/dev/$dev"
mount "/dev/$dev" /mnt
dd if=/dev/zero of=/mnt/file bs=64k count=100 status=none
check_write 'mounted: unmapping is refused' EBUSY "/sys/block/$dev/rnbd/unmap_device" normal
# again and again, until there is an error, but not for ever
for ((i = 0; i < 1000; i++)); do
	dd if=/dev/zero of=/mnt/more bs=64k count=500 oflag=direct status=none || break
done > /run/dd 2>&1 &
sleep 1
check_write 'but not by force' 0 "/sys/block/$dev/rnbd/unmap_device" force
check 'the disk is gone' test ! -e "/dev/$dev"
check 'who writes gets an error' eval "wait_for 10 eval '! kill -0 $!'; grep error /run/dd"
check 'the other one works on' fio_verify "$other" --bs=4k --iodepth=16 --io_size=1m --size=16m
check 'the server has let go of it' wait_for 5 eval '[ "$(cat /sys/module/brd/refcnt)" = 1 ]'
refused rnbd_client
check 'umount' umount /mnt
check 'map again' map_disk force /dev/ram1
check 'its journal is replayed' mount "/dev/$dev" /mnt
check 'umount again' umount /mnt
check 'fsck' fsck.ext4 -fn "/dev/$dev"
# By force, both at once, and then at last the session can be cut off.
start_io "$other"
check 'force, under I/O' unmap_disk "$other" force
check 'I/O fails' io_failed 30
check 'unmap the last one' unmap_disk "$dev"
check 'no session is left' nothing_left

# --- every order --------------------------------------------------------------------------

# What goes first: c, a client's unmap and modules; s, a server's modules; d, the
# RDMA device.
in_order()	# order
{
	local step

	load_server && load_client && map_disk order /dev/ram0 "$(path 1)" &&
		start_io "$dev" || return
	for step in $1; do
		case $step in
		s) timeout 60 rmmod rnbd_server && timeout 60 rmmod rtrs_server ;;
		d) timeout 60 rdma link delete rxe1 ;;
		i) kill $fio 2>/dev/null; wait $fio; true ;;
		c) unmap_disk "$dev" && rmmod rnbd_client && rmmod rtrs_client ;;
		f) unmap_disk "$dev" force && wait_for 20 rmmod rnbd_client && rmmod rtrs_client ;;
		esac || { echo "step $step of $1"; return 1; }
	done
	wait $fio
	unload_all || return
	[ -e /sys/class/infiniband/rxe1 ] || rdma link add rxe1 type rxe netdev roce1
}
orders=('i s c' 's f' 'd s f' 's d i c')
[ -z "${RNBD_LONG:-}" ] || orders+=('i c s' 's i c' 'f s' 'd i c s' 'i d s c' 'i c d s')
for order in "${orders[@]}"; do
	check "order: $order" in_order "$order"
done

load_and_unload()	# count
{
	local i

	for ((i = 0; i < $1; i++)); do
		load_server && load_client && unload_all || { echo "round $i"; return 1; }
	done
}
check 'all five modules again and again' load_and_unload "$(rounds 3 30)"
load_and_map()		# count
{
	local i

	for ((i = 0; i < $1; i++)); do
		load_server && load_client && map_disk again /dev/ram0 "$(path 1)" &&
			unmap_disk "$dev" && unload_all || { echo "round $i"; return 1; }
	done
}
check 'and with a disk mapped in between' load_and_map "$(rounds 1 30)"
finish
