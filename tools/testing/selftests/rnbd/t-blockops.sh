#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every block operation, checked on the server's own disk: its contents, its
# allocated blocks, and the requests that reach it, as its tracepoints show them.
# A failure means that what a user asked of /dev/rnbdN is not what happens to the
# disk: data that is not there, a flush that flushes nothing, a discard that
# frees nothing, a limit that is not the disk's.
#
# The server's disk is read with O_DIRECT, since the server's bios do not go
# through its page cache. The tracepoint is switched on from the start: to patch
# running code is more than some versions of QEMU's emulation can bear.
#
# VM: --append trace_event=block:block_rq_issue
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peer/peer.sh"

trace=/sys/kernel/tracing/trace

# Requests that reach a disk from here on.
trace_start()	# disk
{
	traced_dev=$(tr : , < "/sys/block/$1/dev")
	echo > $trace
}

# They are shown as "RWBS BYTES SECTOR + SECTORS PRIO".
traced()
{
	sed -n "s/.*block_rq_issue: $traced_dev "'\([A-Z]*\) \([0-9]*\) ([^)]*) \([0-9]* + [0-9]*\) \([a-z0-9,]*\) .*/\1 \2 \3 \4/p' \
		$trace
}

# One point: these requests and no others have reached the disk; PRIO is only
# looked at where it is given.
traced_is()	# name "RWBS BYTES SECTOR + SECTORS [PRIO]"...
{
	local got want

	got=$(traced)
	want=$(printf '%s\n' "${@:2}")
	[[ $want == *,* ]] || got=$(sed 's/ [a-z]*,.*//' <<< "$got")
	is "$1" "$got" "$want"
	echo > $trace
}

# Noise that can be had again: all is out of one file.
noise_file=/dev/shm/noise
head -c 20M /dev/urandom > $noise_file
noise()		# seed bytes [skip]
{
	dd if=$noise_file skip=$(($1 % 256 * 7333 + ${3:-0})) count="$2" bs=1M \
		iflag=skip_bytes,count_bytes status=none
}

# In one piece, as dd turns O_DIRECT off for less than a block.
put()		# disk offset seed bytes		noise
{
	dd if=$noise_file skip=$(($3 % 256 * 7333)) count=1 of="/dev/$1" seek="$2" bs="$4" \
		iflag=skip_bytes oflag=direct,seek_bytes conv=notrunc status=none
}

get()		# disk offset bytes
{
	dd if="/dev/$1" skip="$2" count="$3" bs=1M iflag=direct,skip_bytes,count_bytes status=none
}

# What goes in at one end comes out at the other, for sizes and offsets that the
# transport cuts in every way.
sizes='512 1024 4096 4608 65536 126464 126976 127488 1048576 1049088'
goes_through()	# from-disk to-disk		through the first, from the second
{
	local n offset=0 seed=$RANDOM

	for n in $sizes; do
		put "$1" $offset $seed "$n" || return
		is_noise "$2" $offset "$n" $seed || { echo "$n bytes at $offset"; return 1; }
		offset=$((offset + n + 512))
		seed=$((seed + 1))
	done
}

is_zero()	# disk offset bytes
{
	get "$1" "$2" "$3" | cmp -n "$3" - /dev/zero
}

is_noise()	# disk offset bytes seed [skip]	of the seed's noise, from byte skip
{
	get "$1" "$2" "$3" | cmp - <(noise "$4" "$3" "${5:-0}")
}

is_error()	# errno command...
{
	local message

	if message=$("${@:2}" 2>&1 > /dev/null); then
		echo 'no error'
		return 1
	fi
	echo "$message"
	[ "$(errno_of "${message##*$'\n'}")" = "$1" ]
}

limit()		# disk attribute
{
	cat "/sys/block/$1/queue/$2"
}

# One point a limit: it is that of the server's disk.
same_limits()	# server's-disk
{
	local a mine theirs mine_block

	mine_block=$(limit "$dev" logical_block_size)
	for a in logical_block_size physical_block_size discard_granularity \
		 discard_max_hw_bytes write_zeroes_max_bytes write_cache fua; do
		mine=$(limit "$dev" $a)
		theirs=$(limit "$1" $a)
		case $a in
		*_bytes)
			# Whole blocks, and the message has 32 bits for it.
			[ "$theirs" -le 4294967295 ] || theirs=4294967295
			theirs=$((theirs & ~(mine_block - 1))) ;;
		discard_granularity)
			# Without discard it says nothing.
			[ "$(limit "$1" discard_max_hw_bytes)" != 0 ] || continue ;;
		esac
		is "$1: $a" "$mine" "$theirs"
	done
	is "$1: size" "$(size_of "$dev")" "$(size_of "$1")"
}

rxe_up 1
check 'the server loads' load_server
check 'the client loads' load_client

# --- a disk with a volatile cache, FUA and discard -----------------------------

null_blk wb 16 discard=1 cache_size=16 fua=1 || bail 'no null_blk'
check 'map: write-back cache, FUA, discard' map_disk ops /dev/wb "$(path 1)"
same_limits wb
is 'largest request is what a chunk holds' "$(limit "$dev" max_hw_sectors_kb)" 124
is 'requests: the queue depth but for a few' "$(limit "$dev" nr_requests)" 504
is 'virtual boundary' "$(limit "$dev" virt_boundary_mask)" 4095
is 'not rotational' "$(limit "$dev" rotational)" 0
is 'no scheduler' "$(limit "$dev" scheduler | grep -o '\[.*\]')" '[none]'
check 'no secure erase where the disk has none' is_error EOPNOTSUPP blkdiscard -sf "/dev/$dev"

check "write: it is on the server's disk" goes_through "$dev" wb
check "read: it is what is on the server's disk" goes_through wb "$dev"

trace_start wb
put "$dev" 8192 1 4096
traced_is 'a write' 'WS 4096 16 + 8'
noise 1 512 | dd of="/dev/$dev" bs=512 seek=9 oflag=direct,dsync status=none
traced_is 'a write with O_DSYNC has FUA, a flush follows' 'WFS 512 9 + 1' 'FF 0 0 + 0'
noise 1 4096 | dd of="/dev/$dev" bs=4096 seek=4 conv=notrunc,fsync status=none
traced_is 'a buffered write, then fsync: write, then flush' 'WS 4096 32 + 8' 'FF 0 0 + 0'
sync "/dev/$dev"
traced_is 'fsync of nothing is a flush' 'FF 0 0 + 0'
get "$dev" 8192 126976 > /dev/null
traced_is 'a read' 'RS 126976 16 + 248'

for p in '-c1 -n3:rt,0,3' '-c2 -n7:be,0,7' '-c3:idle,0,7' '-c2 -n0:be,0,0'; do
	# shellcheck disable=SC2086 # options
	ionice ${p%:*} dd if=/dev/zero of="/dev/$dev" bs=4k count=1 oflag=direct status=none
	# shellcheck disable=SC2086 # options
	ionice ${p%:*} dd if="/dev/$dev" of=/dev/null bs=4k count=1 iflag=direct status=none
	traced_is "I/O priority ${p%:*}" "WS 4096 0 + 8 ${p#*:}" "RS 4096 0 + 8 ${p#*:}"
done

put wb 1048576 5 4194304
check 'discard' blkdiscard -f -o 2097152 -l 1048576 "/dev/$dev"
check 'the blocks are gone' is_zero wb 2097152 1048576
check 'those before are not' is_noise wb 1048576 1048576 5
check 'nor those behind' is_noise wb 3145728 2097152 5 2097152
echo > $trace
blkdiscard -f -o 2097152 -l 4096 "/dev/$dev"
traced_is 'a discard is a discard' 'DS 4096 4096 + 8'
check 'discard of all' blkdiscard -f "/dev/$dev"
check 'all blocks are gone' is_zero wb 0 $((16 << 20))

# --- read-only -------------------------------------------------------------------

put wb 0 7 1048576
check 'unmap' unmap_disk "$dev"
check 'map read-only' map_disk ops /dev/wb "$(path 1)" access_mode=ro
check 'it can be read' is_noise "$dev" 0 1048576 7
check 'no write' eval "! dd if=/dev/zero of=/dev/$dev bs=4k count=1 conv=notrunc oflag=direct"
check 'no discard' eval "! blkdiscard -f /dev/$dev"
check 'no write zeroes' eval "! blkdiscard -zf /dev/$dev"
check 'unmap' unmap_disk "$dev"
if peer_build > /run/peer.build 2>&1; then
	peer_client 'a client that ignores the flag' --server 10.9.1.2 --source 10.9.1.1 \
		--dev /dev/wb --only 'read-only'
else
	not_ok 'peers can be built' "$(tail -n 5 /run/peer.build)"
fi
blockdev --setro /dev/wb
check_map_errno 'a disk that is read-only on the server, rw' EACCES \
	"sessname=ops device_path=/dev/wb $(path 1)"
check 'and ro' map_disk ops /dev/wb "$(path 1)" access_mode=ro
check 'unmap' unmap_disk "$dev"
blockdev --setrw /dev/wb

# --- a cache without FUA, and none ------------------------------------------------

null_blk wbnofua 16 cache_size=16 fua=0
check 'map: write-back cache without FUA' map_disk ops /dev/wbnofua "$(path 1)"
same_limits wbnofua
trace_start wbnofua
noise 1 4096 | dd of="/dev/$dev" bs=4096 seek=1 oflag=direct,dsync status=none
is 'a write with O_DSYNC is a write, then flushes' "$(traced | cut -d' ' -f1 | uniq | xargs)" 'WS FF'
check 'unmap' unmap_disk "$dev"

null_blk wt 16 fua=0
check 'map: no cache' map_disk ops /dev/wt "$(path 1)"
same_limits wt
trace_start wt
noise 1 4096 | dd of="/dev/$dev" bs=4096 seek=1 oflag=direct,dsync status=none
traced_is 'a write with O_DSYNC is a write' 'WS 4096 8 + 8'
check 'discard is refused' is_error EOPNOTSUPP blkdiscard -f "/dev/$dev"
check 'write zeroes, which the disk does not have, all the same' blkdiscard -zf -o 4096 -l 1048576 "/dev/$dev"
check 'are zeroes' is_zero wt 4096 1048576
check 'unmap' unmap_disk "$dev"

# --- 4 KiB blocks ---------------------------------------------------------------

null_blk big 32 blocksize=4096 discard=1
check 'map: 4 KiB blocks' map_disk ops /dev/big "$(path 1)"
same_limits big
check 'half a block is refused' is_error EINVAL dd if="/dev/$dev" of=/dev/null bs=512 count=1 iflag=direct status=none
check 'fio verify' fio_verify "$dev" --bsrange=4k-256k --blockalign=4k --iodepth=16 --io_size=4m --size=32m
check "it is on the server's disk" cmp <(get "$dev" 0 $((32 << 20))) <(get big 0 $((32 << 20)))
check 'unmap' unmap_disk "$dev"

# --- a file on ext4 as a disk: what is allocated shows what was done ---------------

ram_disks 1 96
check 'map: physical blocks that are larger' map_disk ops /dev/ram0 "$(path 1)"
same_limits ram0
check 'unmap' unmap_disk "$dev"
mkfs.ext4 -qF /dev/ram0
mount /dev/ram0 /mnt
truncate -s $(((16 << 20) + 1536)) /mnt/file
modprobe loop
loop=$(basename "$(losetup -f --show --direct-io=on /mnt/file)")
allocated()	# in MiB
{
	sync -f /mnt
	echo $(($(stat -c %b /mnt/file) >> 11))
}

check 'map: a file, its size no multiple of anything' map_disk ops "/dev/$loop" "$(path 1)"
same_limits "$loop"
size=$(size_of "$dev")
is 'its size' "$size" $(((16 << 20) + 1536))
noise 3 512 | dd of="/dev/$dev" bs=512 seek=$((size / 512 - 1)) oflag=direct status=none
check 'the last sector' cmp <(noise 3 512) <(tail -c 512 /mnt/file)
check 'there is none behind it' is_error ENOSPC dd if=/dev/zero of="/dev/$dev" bs=512 seek=$((size / 512)) count=1 oflag=direct status=none
put "$dev" 0 4 $((16 << 20))
is 'written: all is allocated' "$(allocated)" 16
check 'write zeroes that shall keep the blocks' blkdiscard -zf -o 1M -l 4M "/dev/$dev"
is 'has kept them' "$(allocated)" 16
check 'they are zeroes' is_zero "$loop" 1048576 4194304
check 'write zeroes that may free them' fallocate -p -o 8M -l 4M "/dev/$dev"
is 'has freed them' "$(allocated)" 12
check 'they are zeroes' is_zero "$loop" 8388608 4194304
check 'discard' blkdiscard -f -o 12M -l 2M "/dev/$dev"
is 'has freed them' "$(allocated)" 10
check 'the rest is as it was' is_noise "$loop" 5242880 3145728 4 5242880
check 'the rest is as it was' is_noise "$loop" 14680064 2097152 4 14680064
check 'unmap' unmap_disk "$dev"
losetup -d "/dev/$loop"

# Three and a half blocks of 4 KiB: the half cannot be used.
truncate -s $((3 * 4096 + 2048)) /mnt/odd
loop=$(basename "$(losetup -f --show -b 4096 /mnt/odd)")
check 'map: no whole number of blocks' map_disk ops "/dev/$loop" "$(path 1)"
is 'its blocks' "$(limit "$dev" logical_block_size)" 4096
is 'its size' "$(size_of "$dev")" 12288
check 'all of it can be written' put "$dev" 0 8 12288
check 'and is there' cmp -n 12288 <(noise 8 12288) <(dd if="/dev/$loop" bs=4k count=3 iflag=direct status=none)
check 'unmap' unmap_disk "$dev"
losetup -d "/dev/$loop"
umount /mnt

# --- a partition -----------------------------------------------------------------

null_blk part 8
put part 0 9 $((8 << 20))
addpart /dev/part 1 2049 4095
check 'map: a partition' map_disk ops /dev/part1 "$(path 1)"
is 'its size' "$(size_of "$dev")" $((4095 * 512))
check "its block_dev is the disk" test $SRV/devices/part1/block_dev -ef /sys/block/part
check 'what is read is the partition' is_noise "$dev" 0 $((4095 * 512)) 9 $((2049 * 512))
check 'all of it can be written' put "$dev" 0 10 $((4095 * 512))
check 'it is in the partition' is_noise part $((2049 * 512)) $((4095 * 512)) 10
check 'not before it' is_noise part 0 $((2049 * 512)) 9
check 'nor behind it' is_noise part $((6144 * 512)) 1048576 9 $((6144 * 512))
check 'partitions of our own' addpart "/dev/$dev" 63 8 8
check 'are there' test -b "/dev/${dev}p63"
check 'unmap' unmap_disk "$dev"
delpart /dev/part 1

# --- secure erase -----------------------------------------------------------------

# No disk that Debian's kernel can have in a VM offers it. So only the client's
# side: the peer in user space offers it, and says what it was sent.
if peer_server_start --secure --sessions 1 --export /dev/ram0 --log /run/peer.log; then
	check 'map: secure erase' map_disk sec /dev/ram0 "$(path 1)" "dest_port=$PEER_PORT"
	check 'secure erase' blkdiscard -s -f -o 64K -l 128K "/dev/$dev"
	check 'unmap' unmap_disk "$dev"
	peer_server_end 'secure erase'
	check 'the server was asked for just that' grep -iE 'secure' /run/peer.log
else
	not_ok 'a server with secure erase' "$(cat /run/peer-server.tap)"
fi

# --- the disk goes away ---------------------------------------------------------------

check 'map: a disk that will go' map_disk ops /dev/big "$(path 1)"
run_fio "$dev" --rw=randrw --bs=4k --iodepth=32 --time_based --runtime=60 > /run/fio.bg 2>&1 &
fio=$!
check 'I/O is running' wait_for 20 eval '[ "$(awk "{print \$1 + \$2}" /sys/block/$dev/inflight)" != 0 ]'
sleep 1
check 'it can be removed under I/O' timeout 20 bash -c 'echo 0 > /sys/kernel/config/nullb/big/power'
check 'I/O ends, with an error' eval "wait_for 30 eval '! kill -0 $fio' && ! wait $fio"
check 'it was EIO' grep -E 'Input/output error|error=Input' /run/fio.bg
check 'new I/O: EIO' is_error EIO dd if="/dev/$dev" of=/dev/null bs=4k count=1 iflag=direct status=none
check 'the server has let go of it' wait_for 10 test ! -e $SRV/devices/big
null_blk_remove big 2>/dev/null
for d in wb wbnofua wt part; do
	null_blk_remove $d
done
check 'nothing pins its driver' wait_for 10 rmmod null_blk
check 'new I/O still: EIO' is_error EIO dd if="/dev/$dev" of=/dev/null bs=4k count=1 iflag=direct status=none
check 'unmap' unmap_disk "$dev"
null_blk big 32 blocksize=4096
check 'another of the same name can be mapped' map_disk ops /dev/big "$(path 1)"
check 'and works' fio_verify "$dev" --bs=4k --iodepth=4 --io_size=1m --size=16m
check 'unmap' unmap_disk "$dev"
finish
