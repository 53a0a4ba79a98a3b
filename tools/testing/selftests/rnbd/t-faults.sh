#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the drivers call fails: memory that is not there, at each place where they or
# what they call ask for some; functions of the RDMA driver and of the connection
# manager; disks with errors. The module rnbd-faults makes one call fail at a time, and
# the next in the next round: some chosen at random, or with --long one after another
# until none is left or the time is up, RNBD_FAULTS seconds for each walk. Each round has
# to end with an error or without, and soon; and without the fault all works again, at
# once.
#
# TAKES: 90 s
. "$(dirname "$0")/lib.sh"

FAULTS=/sys/module/rnbd_faults/parameters

# The kernel shows the stack when vmalloc() fails, and begins as here: what splats has
# more to it.
log_allowed='Call Trace:'

# A session is sooner there and gone with fewer chunks.
rtrs_server_args=sess_queue_depth=16

rxe_up 1 2
null_blk disk 64 discard=1
null_blk other 64 discard=1
modprobe rnbd-faults || bail 'no rnbd-faults'

# --- one fault after another ----------------------------------------------------

our_modules()
{
	awk '/^r(nbd|trs)_(core|client|server) / {print $6, $2}' /proc/modules
}

# The kernel's function that calls those that initialize modules, where no address
# of theirs is known yet.
module_init()
{
	awk '$3 == "do_init_module" {printf "0x%s 1024\n", $1; exit}' /proc/kallsyms
}

# Sets $failed, whether there was something that failed, $seen, of how many in this
# round, and $most, of how many at most.
disarm()
{
	failed=$(< $FAULTS/failed) seen=$(< $FAULTS/seen)
	# after a fault there may be fewer than there are without
	[ "$seen" -le "$most" ] || most=$seen
	cat $FAULTS/where > /run/where
	echo 0 > $FAULTS/fail
}

# What fails in the next round: the first time nothing, to see how many calls there are.
next()		# new|nth|some
{
	case $1 in
	new) echo new ;;
	nth) echo $((n + 1)) ;;
	some) echo $((most ? RANDOM % most + 1 : 1000000)) ;;
	esac
}

# "act" with a fault, then "settle" without one. A round may end as it likes, but within
# 20 s; without a fault it has to succeed.
fault_round()	# new|nth|some act settle
{
	local begin=$SECONDS status

	next "$1" > $FAULTS/fail
	$2 > /run/act.out 2>&1
	status=$?
	disarm
	[ $((SECONDS - begin)) -le $worst ] || worst=$((SECONDS - begin))
	[ $worst -le $((20 * ${RNBD_SLOW:-1})) ] || { echo "it took $worst s"; return 1; }
	[ "$failed" != 0 ] || [ $status = 0 ] || { echo 'it fails without a fault'; return 1; }
	$3 > /run/settle.out 2>&1
}

# One point: round after round, until there was no fault left or the time is up.
declare -A faults_of
walk()		# name function new|nth|some act settle
{
	local end=$((SECONDS + limit * ${RNBD_SLOW:-1})) name=$1 function=$2
	local n=0 seen=0 most=0 failed=1 worst=0 mine=0

	echo "$function" > $FAULTS/function || { not_ok "$name: no $function"; return; }
	# by chance it may be such that do not fail, in ib_drain_qp()
	while [ $n -lt 2 ] || [ $SECONDS -lt $end ] || { [ $mine = 0 ] && [ $n -lt 12 ]; }; do
		if ! fault_round "${@:3}" > /run/round.out; then
			not_ok "$name: round $n" "$(cat /run/round.out
				tail -n 8 /run/act.out /run/settle.out; cat /run/where)"
			return 1
		fi
		n=$((n + 1)) mine=$((mine + failed))
		# nothing that could fail, or nothing left of it
		[ "$failed" != 0 ] || { [ "$3" = some ] && [ $most != 0 ]; } || break
	done
	ok "$name"
	faults_of[$function]=$((${faults_of[$function]:-0} + mine))
	echo "# $mine faults, $most calls$([ "$failed" = 0 ] || echo ', not all'); $worst s at most"
}

# How long a walk may take, and what fails in it: some calls; or one with each stack, or
# each call.
limit=${RNBD_FAULTS:-$(rounds 1 120)}
each=$(rounds some nth)
place=$(rounds some new)

# Of the RDMA driver and the connection manager, and what they return.
functions=(rxe_alloc_pd=-12 rxe_create_cq=-12 rxe_create_qp=-12 rxe_modify_qp=-22
	rxe_alloc_mr=-12 rxe_map_mr_sg=0 rxe_post_recv=-12 rxe_post_send=-12
	__rdma_create_kernel_id=-12 rdma_resolve_addr=-19 rdma_resolve_route=-12
	rdma_connect_locked=-12 rdma_accept=-12)

# --- memory ------------------------------------------------------------------------

use_disk()
{
	write_block A && cmp <(pattern A) <(get_block) && blkdiscard "/dev/$dev"
}

map_and_use()
{
	local status

	map_disk faults /dev/disk "$(path 1)" && use_disk
	status=$?
	unmap_all && return $status
}

no_sessions()
{
	[ -z "$(ls $RTRS_CLT $RTRS_SRV 2>/dev/null | grep faults)" ]
}

all_gone()
{
	unmap_all && wait_for 10 no_sessions
}

another_disk()
{
	map_disk faults /dev/other && use_disk && unmap_disk "$dev"
}

# The disk that is mapped all the time works, and no other is left.
all_well()
{
	local d

	for d in /sys/block/rnbd*; do
		[ "${d##*/}" = "$disk" ] || unmap_disk "${d##*/}" || return
	done
	[ ! -e "$(clt_path faults 2)" ] || echo 1 > "$(clt_path faults 2)/remove_path" || return
	dev=$disk
	wait_for 15 path_is faults 1 connected && use_disk
}

io()
{
	dev=$disk
	use_disk
	dd if=/dev/zero of="/dev/$disk" bs=128k count=8 oflag=direct conv=fsync status=none
	dd if="/dev/$disk" of=/dev/null bs=64k count=16 iflag=direct status=none
}

reconnect()
{
	echo 1 > "$(clt_path faults 1)/disconnect"
	echo 1 > "$(clt_path faults 1)/reconnect"
	wait_for 15 path_is faults 1 connected
}

# The client may not have seen yet that it is not connected any more.
found_again()	# reconnects before
{
	[ "$(< "$(clt_path faults 1)/stats/reconnects")" != "$1" ] && path_is faults 1 connected
}
lost_and_found()
{
	local before

	before=$(< "$(clt_path faults 1)/stats/reconnects")
	echo 1 > "$(srv_path faults 1)/disconnect" || return
	wait_for 15 found_again "$before"
}

another_path()
{
	echo "$(addrs 2)" > "$RTRS_CLT/faults/add_path" && wait_for 5 path_is faults 2 connected
	use_disk
	echo 1 > "$(clt_path faults 2)/remove_path"
}

resize()
{
	echo 65536 > "/sys/block/$disk/rnbd/resize" && echo 131072 > "/sys/block/$disk/rnbd/resize"
}

with_a_disk()	# what function nth|new
{
	walk "$1: I/O" "$2" "$3" io all_well
	walk "$1: another disk on the session" "$2" "$3" another_disk all_well
	walk "$1: disconnect and reconnect" "$2" "$3" reconnect all_well
	walk "$1: the server disconnects" "$2" "$3" lost_and_found all_well
	walk "$1: a path is added and removed" "$2" "$3" another_path all_well
	walk "$1: resize" "$2" "$3" resize all_well
}

check 'the server is loaded' load_server || bail 'no server'
check 'the client is loaded' load_client || bail 'no client'
our_modules > /run/modules
check 'their functions are known' eval '[ "$(wc -l < /run/modules)" = 5 ] &&
	tr "\n" " " < /run/modules > $FAULTS/text'
# what is only allocated once is there
check 'it works without faults' map_and_use
walk 'memory: map, I/O, unmap' alloc "$place" map_and_use all_gone
[ -z "${RNBD_LONG:-}" ] || walk 'memory, each time: map, I/O, unmap' alloc nth map_and_use all_gone
for function in "${functions[@]}"; do
	walk "$function: map, I/O, unmap" "$function" "$each" map_and_use all_gone
done

check 'a disk to work with' map_disk faults /dev/disk "$(path 1)" io_hold_sec=30
disk=$dev
with_a_disk memory alloc "$place"
for function in rxe_post_send=-12 rxe_map_mr_sg=0 $(rounds '' 'rxe_post_recv=-12 rxe_modify_qp=-22'); do
	with_a_disk "$function" "$function" "$each"
done
check 'unmap it' unmap_disk "$disk"

# --- modules that do not load ----------------------------------------------------------

check 'all is unloaded' unload_all
module_init > $FAULTS/text

load_all()
{
	load_server && load_client
}
walk 'memory: the modules are loaded' alloc "$each" load_all unload_all
walk 'no address: the modules are loaded' rdma_bind_addr=-98 nth load_all unload_all

# --- the RDMA driver goes away -----------------------------------------------------------

check 'the modules are loaded again' load_all
if [ -d /sys/module/rdma_rxe/holders ]; then
	check 'map' map_disk faults /dev/disk "$(path 1)" io_hold_sec=60
	fio_start "$dev" --bsrange=4k-64k --iodepth=16 --size=16M --io_size=4M
	sleep 1
	check 'the RDMA driver is unloaded under I/O' timeout 60 rmmod rdma_rxe
	check 'I/O waits' fio_runs
	check 'it is loaded again' modprobe rdma_rxe
	check 'with its devices' eval 'rdma link add rxe1 type rxe netdev roce1 &&
		rdma link add rxe2 type rxe netdev roce2'
	check 'the path is there again' wait_for 20 path_is faults 1 connected
	check 'no error, no wrong block' fio_end
	check 'unmap' unmap_disk "$dev"
else
	skip 'the RDMA driver is unloaded under I/O' 'it is built in'
fi

# --- disks with errors ----------------------------------------------------------------------

# What dd ends with, for one block.
dd_errno()	# dd-options...
{
	local out

	out=$(LC_ALL=C dd "$@" bs=4k count=1 status=none 2>&1 > /dev/null) && echo 0 || errno_of "$out"
}
read_errno()	# block
{
	dd_errno if="/dev/$dev" iflag=direct skip="$1"
}
write_block_errno()	# block
{
	dd_errno if=/dev/zero of="/dev/$dev" oflag=direct conv=notrunc seek="$1"
}

null_blk bad 16 badblocks=+8000-8007
check 'map a disk with a bad block' map_disk errors /dev/bad "$(path 1)"
is 'a read of it is EIO' "$(read_errno 1000)" EIO
is 'a write of it is EIO' "$(write_block_errno 1000)" EIO
is 'the block before it is read' "$(read_errno 999)" 0
is 'the one behind it is written' "$(write_block_errno 1001)" 0

modprobe dm_flakey
dmsetup create flakey --table '0 32768 flakey /dev/other 0 0 3600 2 error_reads error_writes'
check 'map a disk that fails' map_disk errors /dev/dm-0
is 'a read is EIO' "$(read_errno 0)" EIO
is 'a write is EIO' "$(write_block_errno 0)" EIO
dmsetup suspend flakey
dmsetup load flakey --table '0 32768 linear /dev/other 0'
dmsetup resume flakey
is 'repaired, it is written' "$(write_block_errno 0)" 0
is 'and read' "$(read_errno 0)" 0
check 'unmap it' unmap_disk "$dev"
check 'it is free' wait_for 5 dmsetup remove flakey

# A bad block, which a write repairs.
if modprobe dm_dust 2>/dev/null; then
	dmsetup create dust --table '0 32768 dust /dev/other 0 4096'
	dmsetup message dust 0 addbadblock 100
	dmsetup message dust 0 enable
	check 'map a disk that has aged' map_disk errors /dev/dm-0
	is 'a read of its bad block is EIO' "$(read_errno 100)" EIO
	is 'another is read' "$(read_errno 101)" 0
	is 'the bad one is written' "$(write_block_errno 100)" 0
	is 'and read again' "$(read_errno 100)" 0
	check 'unmap it' unmap_disk "$dev"
	check 'it is free' wait_for 5 dmsetup remove dust
else
	skip 'a read of its bad block is EIO' 'no dm_dust'
fi

# The kernel's own injection: each request of the disk fails.
inject=/sys/kernel/debug/fail_make_request
[ -d /sys/kernel/debug/kprobes ] || mount -t debugfs debugfs /sys/kernel/debug
if [ -d $inject ]; then
	check 'map a disk whose requests fail' map_disk errors /dev/other
	echo 0 > $inject/verbose
	echo 100 > $inject/probability
	echo -1 > $inject/times
	echo 1 > /sys/block/other/make-it-fail
	is 'a read is EIO' "$(read_errno 0)" EIO
	is 'a write is EIO' "$(write_block_errno 0)" EIO
	echo 0 > /sys/block/other/make-it-fail
	is 'and works again' "$(read_errno 0)" 0
	echo 0 > $inject/probability
	check 'unmap it' unmap_disk "$dev"
else
	skip 'a disk whose requests fail' 'no fail_make_request'
fi

# sectors 0x1234 and following
if modprobe -a sd_mod && modprobe scsi_debug opts=2 dev_size_mb=16 delay=0 2>/dev/null; then
	scsi=
	wait_for 10 eval 'scsi=$(basename /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*:*/block/*) &&
		[ -b "/dev/$scsi" ]'
	check 'map a disk that loses data' map_disk errors "/dev/$scsi"
	is 'a read of what is lost is ENODATA' "$(read_errno $((0x1234 / 8)))" ENODATA
	is 'another read works' "$(read_errno 0)" 0
	check 'unmap it' unmap_disk "$dev"
	check 'it goes' wait_for 10 rmmod scsi_debug
else
	skip 'a read of what is lost is ENODATA' 'no scsi_debug'
fi
check 'unmap all' unmap_all

for function in "${!faults_of[@]}"; do
	check "$function: there were faults, ${faults_of[$function]}" test "${faults_of[$function]}" != 0
done
rmmod rnbd-faults
finish
