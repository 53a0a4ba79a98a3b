#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Data, written and read back by fio with checksums: all sizes of requests, few
# and many at a time, several jobs, several devices and sessions, with and
# without invalidation on the server, small chunks and few of them. A failure
# means that some request did the wrong thing to the wrong place.
#
# TAKES: 90 s
. "$(dirname "$0")/lib.sh"

# Enough of each kind for the queue to fill and chunks to be used again.
verify()	# name fio-options...
{
	check "$1" fio_verify "$dev" --size=24m --io_size="$(rounds 4m 256m)" \
		--number_ios="$(rounds 200 100000)" "${@:2}"
}

sizes()		# name size...
{
	local bs

	for bs in "${@:2}"; do
		verify "$1: requests of $bs, depth 1" --bs=$bs --iodepth=1 \
			--number_ios="$(rounds 20 2000)"
		verify "$1: requests of $bs, depth 32" --bs=$bs --iodepth=32
	done
	verify "$1: 512 to 1 MiB mixed, depth 128" --bsrange=512-1m --iodepth=128
	verify "$1: 512 to 200 KiB mixed, four jobs" --bsrange=512-200k --iodepth=32 \
		--numjobs=4 --offset_increment=6m --size=6m
}

# Buffers that start in the middle of a page, so that data is in many pieces; and
# without huge pages, which would be one piece, in a few.
thp=/sys/kernel/mm/transparent_hugepage/enabled
huge_pages=$(sed 's/.*\[\(.*\)\].*/\1/' $thp)
pieces()	# name
{
	echo never > $thp
	verify "$1: a few pages here and there" --bsrange=8k-32k --iodepth=16 --mem=malloc
	verify "$1: buffers that are not aligned to pages" --bs=124k --iodepth=16 \
		--iomem_align=512 --mem=malloc
	verify "$1: vectors of small buffers" --bs=4k --iodepth=64 --ioengine=io_uring \
		--iodepth_batch=16
	echo "$huge_pages" > $thp
}

start()		# name [module parameters of rtrs-server]
{
	rtrs_server_args=$2
	check "$1: modules load" eval 'load_server && load_client'
	check "$1: map" map_disk fio /dev/ram0 "$(path 1)"
}

stop()		# name
{
	check "$1: the server's disk holds the same" same_disk "$dev" ram0
	check "$1: unmap" unmap_disk "$dev"
	check "$1: unload" unload_all
}

# Two fio at a time, on disks that have nothing to do with each other.
both()		# disk disk
{
	fio_verify "$1" --bsrange=512-124k --iodepth=32 --size=24m --number_ios=300 > /run/fio.1 2>&1 &
	fio_verify "$2" --bsrange=512-124k --iodepth=32 --size=24m --number_ios=300 > /run/fio.2 2>&1
	local second=$?
	wait $! && [ $second = 0 ] || { cat /run/fio.[12]; return 1; }
}

rxe_up 1
ram_disks 2 32

for inval in Y N; do
	start "always_invalidate=$inval" "always_invalidate=$inval"
	# The sizes are Y's, and N's that are not the same on the wire.
	[ $inval = Y ] && s='512 4k 64k 124k 1m' || s=$(rounds '512 64k' '512 4k 64k 124k 1m')
	# shellcheck disable=SC2086 # a list
	sizes "always_invalidate=$inval" $s
	pieces "always_invalidate=$inval"
	stop "always_invalidate=$inval"
done

start 'large chunks' 'max_chunk_size=2097152 sess_queue_depth=16'
verify 'large chunks: requests up to 2 MiB' --bsrange=512-2m --iodepth=32
stop 'large chunks'
start 'small chunks' 'max_chunk_size=8192 sess_queue_depth=500'
verify 'small chunks: requests up to 64 KiB' --bsrange=512-64k --iodepth=64
stop 'small chunks'
start 'two chunks' 'sess_queue_depth=2'
verify 'two chunks: depth 32' --bsrange=512-64k --iodepth=32
stop 'two chunks'

start 'two devices' ''
first=$dev
check 'two devices: the second is mapped on the same session' map_disk fio /dev/ram1
check 'two devices: both carry I/O at a time' both "$first" "$dev"
check 'two devices: the second is unmapped' unmap_disk "$dev"
check 'two sessions: another one is opened' map_disk other /dev/ram1 "$(path6 1)"
check 'two sessions: both carry I/O at a time' both "$first" "$dev"
check 'two sessions: the second is unmapped' unmap_disk "$dev"
dev=$first
stop 'two devices'
finish
