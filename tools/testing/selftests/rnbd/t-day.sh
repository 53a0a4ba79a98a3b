#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# An administrator's day, on two machines: a disk is mapped and used, grows while
# it is mounted, gets a second path; one of its I/Os is watched on both machines;
# it becomes half of a RAID-1 over two servers, one of which dies under load, comes
# back, and is resynchronised. Each step is that of Documentation/admin-guide.
#
# The other half's server is the client's own machine, over a network device of
# its own.
#
# PAIR: --cpus 1 --mem 1G
# PAIR-LONG: --cpus 2
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pair.sh"

tracing=/sys/kernel/tracing

size_is()	# disk bytes
{
	[ "$(size_of "$1")" = "$2" ]
}

state_is()	# disk state
{
	[ "$(disk_attr "$1" state)" = "$2" ]
}

# The server's volume, so many MiB of its disk.
volume()	# load|create megabytes
{
	local table="0 $(($2 << 11)) linear /dev/vda 0"

	srv "modprobe dm_mod
	if [ $1 = create ]; then
		dmsetup create vol --table '$table'
	else
		dmsetup load vol --table '$table' && dmsetup resume vol
	fi"
}

pair_up
rxe_up 3
check 'the server is up' server_is_up
check 'it has a volume' volume create 32
check 'its modules' srv 'rnbd_server_args=dev_search_path=/dev load_server'
check 'the client loads' load_client

# --- a disk ---------------------------------------------------------------------------

check 'map' map_disk day dm-0 "$(path 1)"
disk=$dev
check 'mkfs' mkfs.ext4 -q "/dev/$disk"
check 'mount' mount "/dev/$disk" /mnt
check 'a tree goes in' cp -r "$(dirname "$0")" /mnt/tree
check 'the volume grows' volume load 64
check 'the client sees it' wait_for 3 size_is "$disk" $((64 << 20))
check 'so does the file system' resize2fs "/dev/$disk"
check 'there is room' dd if=/dev/zero of=/mnt/large bs=1M count=30 conv=fsync status=none
check_write 'a second path' 0 $RTRS_CLT/day/add_path "$(addrs 2)"
check_write 'used in turn' 0 $RTRS_CLT/day/mpath_policy round-robin
# Each CPU takes the paths in turn. What the file system writes meanwhile takes turns, too.
both_used()
{
	local n before

	before=("$(path_requests day 1)" "$(path_requests day 2)")
	dd if="/dev/$disk" of=/dev/null bs=4k count=100 iflag=direct status=none
	for n in 1 2; do
		[ $(($(path_requests day $n) - before[n - 1])) -ge $(((100 - $(nproc)) / 2)) ] || return
	done
}
check 'both are used' both_used

# --- a look inside ---------------------------------------------------------------------

# What the file system has still to write could take the chunk that is looked at.
sync -f /mnt
srv "echo 1 > $tracing/events/rnbd_srv/enable; echo 1 > $tracing/events/rtrs_srv/enable"
echo 1 > $tracing/events/rnbd_clt/enable
echo 1 > $tracing/events/rtrs_clt/enable
check_write 'measure latency' 0 /sys/kernel/debug/rtrs-client/enable_latency 1
dd if="/dev/$disk" of=/dev/null bs=4k count=1 skip=5000 iflag=direct status=none
echo 0 > $tracing/events/enable
chunk=$(sed -n 's/.*rnbd_clt_submit: .*chunk \([0-9]*\), .*at sector 40000, .*/\1/p' $tracing/trace)
check 'an I/O on the client' test -n "$chunk"
steps()
{
	sed -n "s/.* [0-9.][0-9.]*: \([a-z_]*\): [^ ]*: chunk $chunk,.*/\1/p" | xargs
}
is 'from submit to complete' "$(steps < $tracing/trace)" \
	'rnbd_clt_submit rtrs_clt_request rtrs_clt_response rnbd_clt_complete'
is 'the same on the server' "$(srv "cat $tracing/trace" | steps)" \
	'rtrs_srv_request process_rdma rnbd_srv_io_done send_io_resp_imm'
# Whatever the file system writes meanwhile is there as well.
check 'how long it took' awk '!/^#/ {reads += $3} END {exit reads < 1}' \
	/sys/kernel/debug/rtrs-client/day/*/latency
check_write 'enough of that' 0 /sys/kernel/debug/rtrs-client/enable_latency 0
srv "echo 0 > $tracing/events/enable"
check 'umount' umount /mnt
check 'fsck' fsck.ext4 -fn "/dev/$disk"

# --- polled ----------------------------------------------------------------------------

# Here, since the server on the same machine would have interrupts of its own. Soft
# RoCE has none, but what an interrupt would start: the softirq that polls a queue.
interrupts_of()	# fio-options...
{
	local before

	before=$(interrupts)
	fio --name=poll --filename="/dev/$polled" --readonly --rw=randread --bs=4k --direct=1 \
		--ioengine=io_uring --iodepth=1 --number_ios=300 --size=16m "$@" > /run/poll.out ||
		{ cat /run/poll.out >&2; return 1; }
	interrupts=$(($(interrupts) - before))
}
interrupts()
{
	awk '$1 == "IRQ_POLL:" {for (i = 2; i <= NF; i++) n += $i} END {print n}' /proc/softirqs
}
check 'poll queues' map_disk poll dm-0 "$(path 1)" nr_poll_queues=1 access_mode=ro
polled=$dev
check 'I/O with interrupts' interrupts_of
check "they are as many as requests: $interrupts" test $interrupts -ge 250
# But heartbeats, the more the longer it takes.
check 'polled I/O' interrupts_of --hipri=1
check "there are none: $interrupts" test $interrupts -lt 100
check 'unmap' unmap_disk "$polled"

# --- RAID-1 over two servers ---------------------------------------------------------------

rnbd_server_args=dev_search_path=/dev
check 'another server' load_server
ram_disks 1 64
check 'its disk' map_disk half ram0 "$(path 3)"
half=$dev
# So that a dead server is missed for a few seconds only.
check_write 'a faster heartbeat' 0 $RTRS_CLT/day/hb_interval_ms 1000
check_write 'that gives up sooner' 0 $RTRS_CLT/day/hb_missed_max 3
modprobe raid1
check 'RAID-1' mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --bitmap=internal \
	--metadata=1.2 --size=16M "/dev/$disk" "/dev/$half"
synced()
{
	grep -q '\[UU\]' /proc/mdstat && ! grep -qE 'recovery|resync' /proc/mdstat
}
check 'both halves work' wait_for 120 synced
fio_start md0 --bsrange=4k-64k --blockalign=4k --iodepth=8 --size=14m --io_size=4m --rate_iops=100
sleep 3
check 'one server dies' end_server
check 'its half is given up' wait_for 30 grep -qE '\[(_U|U_)\]' /proc/mdstat
check 'I/O goes on' fio_runs
sleep 2
check 'the server boots again' start_server
check 'it is up' server_is_up
check 'it has its volume' volume create 64
check 'its modules' srv 'rnbd_server_args=dev_search_path=/dev load_server'
check 'the disk is open again' wait_for 20 state_is "$disk" open
check 'the half comes back' eval 'mdadm /dev/md0 --fail detached --remove detached
	mdadm /dev/md0 --remove "/dev/$disk"; mdadm /dev/md0 --re-add "/dev/$disk"'
check 'and is resynchronised' wait_for 120 synced
check 'no error, no wrong block' fio_end
check 'the array is stopped' mdadm --stop /dev/md0
# Behind the superblock, which says who is who.
offset=$(mdadm --examine "/dev/$disk" | awk '$1 == "Data" && $2 == "Offset" {print $4}')
halves()
{
	cmp -n $((16 << 20)) -i $((offset << 9)) "/dev/$disk" "/dev/$half"
}
drop_caches
check 'both halves are the same' halves
check 'unmap' unmap_all
pair_finish
