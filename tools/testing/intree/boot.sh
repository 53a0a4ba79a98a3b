#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM, on a kernel with the drivers built in: they have come up in an order that
# works, with nothing to load, so a disk can be mapped and used.
. "$(dirname "$0")/../selftests/rnbd/lib.sh"

listed()	# directory...
{
	local d

	for d; do
		[ -e "$d" ] || { echo "no $d"; return 1; }
	done
}

is 'no module is loaded' "$(cat /proc/modules)" ''
check 'client and server are there' listed $CLT/map_device $SRV/devices $RTRS_CLT $RTRS_SRV
rxe_up 1
check 'map' map_disk builtin /dev/ram0 "$(path 1)"
is 'its size' "$(size_of "$dev")" "$(size_of ram0)"
check 'mkfs' mkfs.ext4 -q "/dev/$dev"
check 'mount' mount "/dev/$dev" /mnt
check 'files go in' cp -r "$(dirname "$0")/../selftests" /mnt
check 'and are what they were' eval 'drop_caches && diff -r "$(dirname "$0")/../selftests" /mnt/selftests'
check 'umount' umount /mnt
check 'I/O with verification' fio_verify "$dev" --bsrange=512-124k --iodepth=16 --size=16m --number_ios=200
check 'the server has it' same_disk "$dev" ram0
check 'IPv6' map_disk six /dev/ram1 "$(path6 1)"
check 'unmap' unmap_all
check 'nothing is left of the sessions' wait_for 10 eval "! ls $RTRS_CLT $RTRS_SRV | grep -v : | grep ."
check 'nothing bad in the kernel log' log_is_clean
check 'the kernel has not warned' taint_is_clean
echo "1..$points"
