#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Our client and a server that behaves as mainline's: peer/peer-server, which
# looks at every bit of what our client sends, and has a RAM disk of any
# geometry. A failure means that our client would not get on with a mainline
# server.
#
# TAKES: 70 s
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peer/peer.sh"

rxe_up 1
check 'the peers can be built' peer_build || bail 'no peers'
check 'load the client' load_client || bail 'no client'

at_peer="$(path 1) dest_port=$PEER_PORT"

# One mapping of the peer's disk, with what is done to it.
session()	# prefix function server-options...
{
	check "$1: start" peer_server_start "${@:3}" || return
	if check "$1: map" map_disk peer /dev/ram0 "$at_peer" ${wish:+queue_depth=$wish}; then
		first=$dev
		"$2" "$1"
		check "$1: unmap" unmap_disk "$dev"
		peer_server_end "$1, server"
	else
		kill "$peer_server"
		wait "$peer_server"
	fi
}

# --- every operation -------------------------------------------------------------

io()	# prefix
{
	check "$1: fio, verified" fio_verify "$dev" --bsrange=4k-124k \
		--size=16M --io_size="$(rounds 2 64)M" --iodepth=32
}

operations()	# prefix
{
	io "$1"
	check "$1: sync write" dd if=/dev/zero of="/dev/$dev" bs=64k count=1 \
		oflag=direct,dsync status=none
	check "$1: discard" blkdiscard -o 1M -l 1M "/dev/$dev"
	check "$1: write zeroes" blkdiscard -z -o 2M -l 1M "/dev/$dev"
	check "$1: prioritised write" ionice -c 1 -n 3 dd if=/dev/urandom \
		of="/dev/$dev" bs=4k count=1 seek=1024 oflag=direct status=none
	check "$1: flush" sync "/dev/$dev"
}

# Lines of the log: op sector size flags prio errno device cid
logged()	# regular expression
{
	grep -E "^$1" /run/peer.log
}
io_failed()
{
	awk '!/^#/ && $6 != 0' /run/peer.log | grep .
}

check_log()	# prefix
{
	check "$1: server saw READ" logged READ
	check "$1: server saw WRITE" logged WRITE
	check "$1: server saw FLUSH" logged 'FLUSH 0 0 '
	check "$1: server saw a write with FUA" \
		logged 'WRITE [0-9]+ [0-9]+ 0x[2367abef]00 '
	check "$1: server saw DISCARD" logged 'DISCARD 2048 1048576 '
	check "$1: server saw WRITE_ZEROES" logged 'WRITE_ZEROES 4096 1048576 '
	check "$1: server saw the priority" logged 'WRITE 8192 4096 [^ ]* 0x2003 '
	check "$1: no I/O failed" eval '! io_failed'
}

filesystem()	# prefix
{
	check "$1: mkfs" mkfs.ext4 -q -F "/dev/$dev"
	mkdir -p /run/mnt
	check "$1: mount" mount "/dev/$dev" /run/mnt
	check "$1: copy files" cp -r "$PEER" /run/mnt
	umount /run/mnt
	check "$1: mount again" mount "/dev/$dev" /run/mnt
	check "$1: the same files" diff -r "$PEER" "/run/mnt/$(basename "$PEER")"
	check "$1: unmount" umount /run/mnt
	check "$1: fsck" fsck.ext4 -f -n "/dev/$dev"
	# What the peer has to have in the end.
	dd if="/dev/$dev" of=/run/expected.img bs=1M iflag=direct status=none
}

for m in n y; do
	session "mode $m" operations --invalidate $m --cache wb,fua \
		--write-zeroes 65535 --log /run/peer.log
	check_log "mode $m"
	[ $m = y ] || [ -n "${RNBD_LONG:-}" ] || continue
	session "mode $m, files" filesystem --invalidate $m --cache wb \
		--dump /run/peer.img
	check "mode $m: the peer's disk has what was written" \
		cmp /run/expected.img /run/peer.img
done

# --- every kind of server ----------------------------------------------------------

session 'no SEND_WITH_INV' io --invalidate n --no-inv
session 'no SEND_WITH_INV, new rkeys' io --invalidate y --no-inv
session 'the same rkey again' io --invalidate y --rkey same
session 'now the same, now another rkey' io --invalidate y --rkey mixed
session 'answers out of order' io --invalidate y --reorder
session '3 chunks of 8 KiB' io --depth 3 --chunk 8192
session '500 chunks' io --depth 500 --invalidate n
session 'a server of version 1' io --ver 1

# A wish for a depth, of a server that takes it, and of one that does not know of it:
# no more requests are under way in either case.
wish=16
nr_requests()	# prefix
{
	is "$1: requests" "$(cat "/sys/block/$dev/queue/nr_requests")" 14
	io "$1"
	check "$1: a second disk" map_disk peer /dev/ram1 "queue_depth=$wish"
	is "$1: requests of the second disk" "$(cat "/sys/block/$dev/queue/nr_requests")" 14
	check "$1: which goes" unmap_disk "$dev"
	dev=$first
}
session 'a depth is granted' nr_requests --grant --export /dev/ram0 --export /dev/ram1
session 'a depth is not granted' nr_requests --export /dev/ram0 --export /dev/ram1
session 'a depth is not granted, new rkeys' nr_requests --invalidate y --export /dev/ram0 \
	--export /dev/ram1
wish=100
less()		# prefix
{
	is "$1: requests" "$(cat "/sys/block/$dev/queue/nr_requests")" 28
	io "$1"
}
session 'less than was asked for' less --grant --depth 32
wish=

# One of ours that is still taking down what there was. Not for long.
busy()		# prefix
{
	is "$1: it was asked as often" "$(grep -c '^# busy' /run/peer-server.tap)" 4
	io "$1"
}
session 'a server that is busy at first' busy --busy 4

queue_attr()
{
	cat "/sys/block/$dev/queue/$1"
}

geometry()	# prefix
{
	is "$1: size" "$(size_of "$dev")" $((131072 * 512))
	is "$1: logical block size" "$(queue_attr logical_block_size)" 4096
	is "$1: physical block size" "$(queue_attr physical_block_size)" 8192
	is "$1: discard granularity" "$(queue_attr discard_granularity)" 16384
	is "$1: discard limit" "$(queue_attr discard_max_hw_bytes)" $((2048 * 512))
	is "$1: write zeroes limit" "$(queue_attr write_zeroes_max_bytes)" \
		$((1024 * 512))
	is "$1: write cache" "$(queue_attr write_cache)" 'write back'
	is "$1: fua" "$(queue_attr fua)" 1
}
session 'geometry' geometry --sectors 131072 --block-size 4096 --physical 8192 \
	--discard 2048 --discard-gran 16384 --write-zeroes 1024 --cache wb,fua

# A plain disk must not be sent FLUSH, FUA, DISCARD or WRITE_ZEROES: the peer
# says so if it is.
plain()	# prefix
{
	is "$1: write cache" "$(queue_attr write_cache)" 'write through'
	is "$1: discard limit" "$(queue_attr discard_max_hw_bytes)" 0
	check "$1: sync write" dd if=/dev/zero of="/dev/$dev" bs=64k count=1 \
		oflag=direct,dsync status=none
	check "$1: zeroes" blkdiscard -z -o 2M -l 64k "/dev/$dev"
	check "$1: flush" sync "/dev/$dev"
}
session 'plain disk' plain --cache none --discard 0 --discard-gran 0

# Nothing but heartbeats, which the peer expects of us, and answers.
idle()	# prefix
{
	check "$1: for a while" sleep "$(rounds 12 40)"
}
session 'heartbeats' idle --invalidate y

# --- refusals ----------------------------------------------------------------------

map_fails()	# prefix errno server-options...
{
	check "$1: start" peer_server_start "${@:3}" || return
	check_map_errno "$1: map_device says $2" "$2" \
		"sessname=peer device_path=/dev/ram0 $at_peer"
	peer_server_end "$1, server"
}

map_fails 'OPEN fails with EPERM' EPERM --open-errno 1
map_fails 'OPEN fails with ENOENT' ENOENT --export /dev/other
map_fails 'OPEN fails with ENOTBLK' ENOTBLK --open-errno 15
map_fails 'blocks of 63.5 KiB' EINVAL --block-size 65024 --sectors 130048

check 'more chunks than it has agreed to: start' peer_server_start --wrong depth --sessions 0
check_map_errno 'more chunks than it has agreed to: map_device says EPROTO' EPROTO \
	"sessname=peer device_path=/dev/ram0 queue_depth=16 $at_peer"
kill "$peer_server"
wait "$peer_server"

check 'a server that is always busy: start' peer_server_start --busy 1000 --sessions 0
check_map_errno 'a server that is always busy: map_device says EBUSY' EBUSY \
	"sessname=peer device_path=/dev/ram0 $at_peer"
kill "$peer_server"
wait "$peer_server"

# I/O errors come through, and end nothing.
failing_reads()	# prefix
{
	check "$1: EIO" bash -c "dd if=/dev/$dev of=/dev/null bs=4k \
		count=1 iflag=direct 2>&1 | grep 'Input/output error'"
	check "$1: writes go on" dd if=/dev/zero of="/dev/$dev" bs=4k count=1 \
		oflag=direct status=none
}
session 'reads fail' failing_reads --io-errno 0:5

# A server that goes while it is mapped: errors, and no hang.
check 'lost server: start' peer_server_start
check 'lost server: map' map_disk peer /dev/ram0 "$at_peer"
peer_server_stop 'lost server, server'
check 'lost server: reads fail' bash -c "! timeout 60 dd if=/dev/$dev \
	of=/dev/null bs=4k count=1 iflag=direct"
check 'lost server: unmap' unmap_disk "$dev" force

finish
