#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A first user's day: load, map, format, copy a directory tree in and out, check
# what arrived on the server's disk, unmap, unload. Who follows the quick start
# in the README does just this; if a point fails here, they will not come back.
#
# TAKES: 50 s
. "$(dirname "$0")/lib.sh"

tree=/usr/share/perl5/Debconf

sums()		# directory
{
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 md5sum)
}

no_residue()
{
	! ls -d /sys/block/rnbd* 2>/dev/null | grep . &&
	! ls $CLT/devices $RTRS_CLT $RTRS_SRV $SRV/devices | grep -v : | grep .
}

map_and_unmap()	# count
{
	local i

	for ((i = 0; i < $1; i++)); do
		map_disk day /dev/ram0 "$(path 1)" && unmap_disk "$dev" || return
	done
}

rxe_up 1
ram_disks 1 64
check 'the server loads' load_server
check 'the client loads' load_client
check 'a disk is mapped' map_disk day /dev/ram0 "$(path 1)"
check 'its node is there' test -b "/dev/$dev"
is 'it has the size of the exported disk' "$(size_of "$dev")" "$(size_of ram0)"

check 'mkfs.ext4' mkfs.ext4 -q "/dev/$dev"
check 'mount' mount "/dev/$dev" /mnt
check 'a directory tree goes in' cp -r "$tree" /mnt/tree
check 'umount and mount again' eval "umount /mnt && drop_caches && mount /dev/$dev /mnt"
is 'it comes out as it went in' "$(sums /mnt/tree | md5sum)" "$(sums "$tree" | md5sum)"
umount /mnt
check 'fsck' fsck.ext4 -fn "/dev/$dev"

for bs in 512 4k 64k 124k 1m; do
	check "fio verify with requests of $bs" fio_verify "$dev" --bs=$bs --iodepth=16 \
		--number_ios=200 --size=48m
done
check 'flush' blockdev --flushbufs "/dev/$dev"
check "the server's disk is byte for byte what was written" same_disk "$dev" ram0
check 'discard' blkdiscard -f -o 0 -l 4M "/dev/$dev"
check 'the disk is unmapped' unmap_disk "$dev"

check 'an IPv6 session' map_disk day6 /dev/ram0 "$(path6 1)"
check 'carries I/O' fio_verify "$dev" --bs=4k --iodepth=16 --number_ios=200 --size=16m
check 'and is closed' unmap_disk "$dev"
check 'ten times map and unmap' map_and_unmap 10
check 'nothing is left in sysfs' wait_for 5 no_residue
finish
