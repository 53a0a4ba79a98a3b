#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Disks that grow and shrink on the server while they are mapped: the client sees it
# by itself, a mounted file system can be grown into the new room, clients that
# know nothing of it are told nothing. A failure means a file system that cannot
# grow without an outage, or one that believes in room that there is not.
#
# TAKES: 50 s
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peer/peer.sh"

# /dev/dm-0, so many MiB of a ram disk, as a logical volume is.
volume()	# name megabytes [load|create]
{
	local table="0 $(($2 << 11)) linear /dev/ram0 0"

	if [ "${3:-load}" = create ]; then
		dmsetup create "$1" --table "$table"
	else
		dmsetup load "$1" --table "$table" && dmsetup resume "$1"
	fi
}

size_is()	# disk bytes
{
	[ "$(size_of "$1")" = "$2" ]
}

# One point: the client has the new size, within a second or two.
seen()		# name disk megabytes
{
	check "$1" wait_for 3 size_is "$2" $(($3 << 20))
}

rxe_up 1 2
ram_disks 1 256
modprobe dm_mod
volume vol 64 create
file=/dev/shm/growing
truncate -s 32M $file
modprobe loop
loop=$(basename "$(losetup -f --show $file)")
check 'the server loads' load_server
check 'the client loads' load_client

# --- a volume with a file system ----------------------------------------------------

check 'map' map_disk grow /dev/dm-0 "$(path 1)"
vol=$dev
check 'map another' map_disk grow "/dev/$loop"
file_dev=$dev
check 'mkfs' mkfs.ext4 -q "/dev/$vol"
check 'mount' mount "/dev/$vol" /mnt
dd if=/dev/urandom of=/mnt/before bs=1M count=20 status=none
sum=$(md5sum < /mnt/before)
is 'it has no room' "$(dd if=/dev/zero of=/mnt/more bs=1M count=60 status=none 2>&1 | grep -c 'No space')" 1
rm /mnt/more
volume vol 192
seen 'the client sees that it has grown' "$vol" 192
check 'the file system can be grown' resize2fs "/dev/$vol"
check 'there is room' dd if=/dev/zero of=/mnt/more bs=1M count=60 status=none
is 'what was there is there' "$(md5sum < /mnt/before)" "$sum"
is 'the other disk has not changed' "$(size_of "$file_dev")" $((32 << 20))
check 'umount' umount /mnt
check 'fsck' fsck.ext4 -fn "/dev/$vol"

# --- under I/O, again and again ------------------------------------------------------

fio_start "$file_dev" --bsrange=4k-64k --blockalign=4k --iodepth=8 --size=16m --io_size=2m
for mb in 48 64 33 80; do
	truncate -s ${mb}M $file
	losetup -c "/dev/$loop"
	seen "under I/O: $mb MiB" "$file_dev" $mb
done
check 'no error, no wrong block' fio_end
check 'that it has shrunk is in the log' eval 'log | grep -F "shrinks from 131072 to 67584 sectors"'
is 'I/O behind the end is refused' "$(dd if="/dev/$file_dev" of=/dev/null bs=4k skip=$((80 << 8)) count=1 \
	iflag=direct 2>&1 | grep -c '0 bytes')" 1

# What the client has been told it knows, also if nothing was mapped at that time.
check 'unmap' unmap_disk "$file_dev"
truncate -s 16M $file
losetup -c "/dev/$loop"
check 'map again' map_disk grow "/dev/$loop"
file_dev=$dev
is 'the size is that of today' "$(size_of "$file_dev")" $((16 << 20))

# While nobody can be told.
check_write 'the path is gone' 0 "$(clt_path grow 1)/disconnect" 1
truncate -s 24M $file
losetup -c "/dev/$loop"
sleep 2
check_write 'and back' 0 "$(clt_path grow 1)/reconnect" 1
seen 'the client sees it' "$file_dev" 24

# While one of two paths is dead, and the server does not know yet.
check_write 'another path' 0 $RTRS_CLT/grow/add_path "$(addrs 2)"
for n in 2 1; do
	ip link set roce$n carrier off
	truncate -s $((24 + n))M $file
	losetup -c "/dev/$loop"
	seen "path $n is dead: the client sees it" "$file_dev" $((24 + n))
	ip link set roce$n carrier on
	check 'the path is back' wait_for 15 path_is grow $n connected
done

check 'unmap' unmap_disk "$file_dev"
losetup -d "/dev/$loop"
check 'unmap' unmap_disk "$vol"
dmsetup remove vol

# --- a client that does not know of it -----------------------------------------------------

# Idle for 10 seconds, and whatever it does not know is an error.
check 'the peers can be built' peer_build
volume vol 64 create
"$PEER/peer-client" --server 10.9.1.2 --source 10.9.1.1 --dev /dev/dm-0 \
	--slow --only 'idle with a disk open' > /run/peer.tap 2>&1 &
peer=$!
check 'it has the disk open' wait_for 20 test -d "$SRV/devices/dm-0"
volume vol 128
check 'the log says that it cannot be told' wait_for 5 eval 'log | grep -F "cannot be told"'
check 'it sees nothing that it does not know' eval "wait $peer || { cat /run/peer.tap; false; }"
check 'the server has let go of it' wait_for 10 test ! -e "$SRV/devices/dm-0"
dmsetup remove vol
finish
