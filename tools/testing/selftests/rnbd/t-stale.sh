#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# No stale write. A write that hangs in the server's disk when its path dies must
# not reach the disk after what the client writes there later. The server's disk
# is one whose first write to sector 0 takes 10 seconds while every other is
# immediate, and whose reads take half a second behind the first MiB: what the client
# has written last must be there at the end, however long the first takes.
#
# A failure means silent corruption: a file system's old block over its new one.
#
# TAKES: 120 s
. "$(dirname "$0")/lib.sh"

# --- a disk whose first write is slow ---------------------------------------------

disk=/run/disk slow=10
slow_disk()
{
	mkdir -p /run/lock
	truncate -s 16M $disk
	cat > /run/pwrite <<-END
		#!/bin/bash
		if [ \$4 = 0 ] && mkdir /run/first 2>/dev/null; then
			cat > /run/late
			touch /run/slow
			sleep $slow
			dd of=$disk conv=notrunc status=none < /run/late
			touch /run/slow.done
		else
			dd of=$disk seek=\$4 oflag=seek_bytes conv=notrunc status=none
		fi
	END
	chmod +x /run/pwrite
	mkdir /run/first
	nbdkit -U /run/nbd eval thread_model='echo parallel' get_size='echo 16777216' \
		pread="[ \$4 -lt 1048576 ] || sleep 0.5
		       dd if=$disk skip=\$4 count=\$3 iflag=skip_bytes,count_bytes status=none" \
		pwrite='/run/pwrite "$@"' can_write='exit 0' &&
	modprobe nbd nbds_max=1 max_part=0 &&
	qemu-nbd -c /dev/nbd0 -f raw --fork nbd+unix:///?socket=/run/nbd &&
	wait_for 20 eval '[ "$(size_of nbd0)" = 16777216 ]'
}

# The next write to sector 0 is the slow one.
arm()
{
	rm -rf /run/slow /run/slow.done /run/first
}

write_a()
{
	arm
	write_block A > /run/a.out 2>&1 &
	a=$!
	wait_for 20 test -e /run/slow
}

a_ends_well()
{
	wait $a || { cat /run/a.out; return 1; }
}

a_fails()
{
	! wait $a
}

# After the slow write, whatever became of it, has had all the time it could want.
b_is_there()
{
	wait_for $((slow + 20)) test -e /run/slow.done || { echo 'the slow write never ended'; return 1; }
	sleep 4
	cmp <(head -c 4096 $disk) <(pattern B) && cmp <(get_block) <(pattern B)
}

is_open()
{
	[ "$(disk_attr "$dev" state)" = open ]
}

rxe_up 1 2
check 'the server loads' load_server
check 'the client loads' load_client
check 'a disk whose first write is slow' slow_disk || bail 'no disk'
check 'map over two paths' map_disk st /dev/nbd0 "$(path 1)" "$(path 2)"

only_path()	# N: the other is disconnected until A is on its way
{
	echo 1 > "$(clt_path st $((3 - $1)))/disconnect"
}

both_paths()
{
	echo 1 > "$(clt_path st $((3 - $1)))/reconnect"
}

# --- (a) the path is disconnected ---------------------------------------------------

only_path 1
check 'A is in the slow disk' write_a
both_paths 1
check 'both paths' wait_for 5 path_is st 2 connected
check_write 'path 1 is disconnected' 0 "$(clt_path st 1)/disconnect" 1
check 'A is acknowledged' a_ends_well
check 'B is acknowledged' write_block B
check 'B is on the disk, and stays there (disconnect)' b_is_there
check_write 'path 1 is back' 0 "$(clt_path st 1)/reconnect" 1

# --- (b) its link goes down -----------------------------------------------------------

only_path 2
check 'A is in the slow disk' write_a
both_paths 2
check 'both paths' wait_for 5 path_is st 1 connected
ip link set roce2 carrier off
check 'its link is down' wait_for 5 link_down roce2
check 'path 2 is given up' wait_for 2 path_is st 2 disconnected
check 'A is acknowledged' a_ends_well
check 'B is acknowledged' write_block B
check 'B is on the disk, and stays there (link down)' b_is_there
ip link set roce2 carrier on
check 'path 2 is back' wait_for 5 path_is st 2 connected

# --- (c) no path is left --------------------------------------------------------------

# So that B has another tag, and with it another chunk, than A had.
tags_in_use()
{
	run_fio "$dev" --rw=randread --bs=4k --offset=1m --iodepth=8 --time_based --runtime=60 \
		> /run/fio.tags 2>&1 &
	tags=$!
	sleep 2
}

only_path 1
check 'A is in the slow disk' write_a
check_write 'path 1 is disconnected' 0 "$(clt_path st 1)/disconnect" 1
check 'A fails' a_fails
check_write 'the path is back' 0 "$(clt_path st 1)/reconnect" 1
check 'the disk is open' wait_for 10 is_open
tags_in_use
check 'B is acknowledged' write_block B
stop_job $tags
check 'B is on the disk, and stays there (no path left)' b_is_there

# --- (d) forced unmap ---------------------------------------------------------------------

check 'A is in the slow disk' write_a
check 'unmap by force' unmap_disk "$dev" force
check 'A fails' a_fails
check 'map again' map_disk st /dev/nbd0 "$(path 1)"
tags_in_use
check 'B is acknowledged' write_block B
stop_job $tags
check 'B is on the disk, and stays there (new mapping)' b_is_there

check 'A is in the slow disk' write_a
check 'unmap by force' unmap_disk "$dev" force
check 'A fails' a_fails
check 'map over another session' map_disk other /dev/nbd0 "$(path 2)"
check 'B is acknowledged' write_block B
check 'B is on the disk, and stays there (new session)' b_is_there

# A request for other sectors does not wait for it.
check 'A is in the slow disk' write_a
check 'another write is not held up' timeout 5 dd if=/dev/zero of="/dev/$dev" bs=4k seek=100 \
	count=1 oflag=direct conv=notrunc status=none
check 'A is acknowledged in the end' a_ends_well
check 'unmap' unmap_disk "$dev"
qemu-nbd -d /dev/nbd0 > /dev/null
pkill nbdkit

# --- (e) many requests under way ------------------------------------------------------------

modprobe brd rd_nr=1 rd_size=32768 max_part=0
modprobe dm_delay
check 'a disk that is slow to write' eval \
	'dmsetup create slow --table "0 65536 delay /dev/ram0 0 0 /dev/ram0 0 400"'
check 'map it over two paths' map_disk st /dev/dm-0 "$(path 1)" "$(path 2)"
fio_start "$dev" --bsrange=4k-16k --blockalign=4k --iodepth=32 --size=1m --io_size=1m
flap()
{
	local i p

	for ((i = 0; i < $1; i++)); do
		p=$((i % 2 + 1))
		sleep 1
		echo 1 > "$(clt_path st $p)/disconnect" || return
		sleep 0.5
		echo 1 > "$(clt_path st $p)/reconnect" || return
		fio_runs || return
	done
}
n=$(rounds 6 60)
check "$n times a path goes and comes back" flap "$n"
check 'no error, no wrong block' fio_end
check 'unmap' unmap_disk "$dev"

# --- what the disk gets late is what it was sent -----------------------------------------------

# A fails, so that nobody writes it again; the disk may have the old blocks then or A,
# but nothing else: the memory that A came in is not used again before it is written.
large=$((100 << 10))
letters()	# letter
{
	head -c $large /dev/zero | tr '\0' "$1"
}
# What the server writes does not go through the disk's page cache.
old_or_a()
{
	dd if=/dev/ram0 of=/run/found bs=$large count=1 iflag=direct status=none
	cmp /run/found <(letters O) || cmp /run/found <(letters A)
}
dmsetup suspend slow
dmsetup load slow --table "0 65536 delay /dev/ram0 0 0 /dev/ram0 0 4000"
check 'a disk that is very slow to write' dmsetup resume slow
letters O | dd of=/dev/ram0 bs=$large iflag=fullblock conv=notrunc,fsync status=none
check 'map it over one path' map_disk st /dev/dm-0 "$(path 1)"
(letters A | dd of="/dev/$dev" bs=$large iflag=fullblock oflag=direct conv=notrunc status=none) \
	> /run/a.out 2>&1 &
a=$!
written()
{
	[ "$(dmsetup status slow | awk '{print $5}')" -gt 0 ]
}
check 'A is in the disk' wait_for 3 written
check_write 'the path is disconnected' 0 "$(clt_path st 1)/disconnect" 1
check 'A fails' a_fails
check_write 'the path is back, with memory of its own' 0 "$(clt_path st 1)/reconnect" 1
sleep 5
check 'A is on the disk, or what was there' old_or_a
check 'unmap' unmap_disk "$dev"
finish
