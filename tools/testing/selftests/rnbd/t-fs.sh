#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# File systems with real files on a remote disk: ext4 and xfs are made, filled
# from a directory tree by several writers at a time, unmounted, mounted again,
# compared and checked. A failure means lost, stale or misplaced blocks, or a
# flush that did not do what it says.
#
# TAKES: 55 s
. "$(dirname "$0")/lib.sh"

# Copied to memory first: to read them over 9p again and again takes long.
trees='/dev/shm/t/udev /dev/shm/t/encodings /dev/shm/t/again'
prepare()
{
	mkdir /dev/shm/t
	tar -C /usr/lib --exclude=hwdb.bin -cf - udev | tar -C /dev/shm/t -xf -
	tar -C /usr/lib/python3.* --exclude=__pycache__ -cf - encodings | tar -C /dev/shm/t -xf -
	cp -r /dev/shm/t/encodings /dev/shm/t/again
	[ -z "${RNBD_LONG:-}" ] || {
		cp -r /usr/include/linux /usr/share/perl5 /dev/shm/t
		trees="$trees /dev/shm/t/linux /dev/shm/t/perl5"
	}
}

fill()		# mount point
{
	local t

	for t in $trees; do
		cp -r --preserve=mode,links "$t" "$1/" &
	done
	wait
	sync -f "$1"
}

compare()	# mount point
{
	local t

	for t in $trees; do
		diff -r --no-dereference "$t" "$1/${t##*/}" || return
	done
}

remount()
{
	umount /mnt && drop_caches && mount "/dev/$dev" /mnt
}

# What a file system does to itself as well: truncate, rename, remove, rewrite.
churn()		# mount point rounds
{
	local i

	for ((i = 0; i < $2; i++)); do
		dd if=/dev/urandom of="$1/churn.$i" bs=37k count=20 conv=fsync status=none &&
		truncate -s 100k "$1/churn.$i" &&
		cp "$1/churn.$i" "$1/copy" && cmp "$1/churn.$i" "$1/copy" &&
		mv "$1/copy" "$1/churn.$((i - 1))" || return
	done
	rm "$1"/churn.*
}

fs_test()	# name mkfs fsck
{
	check "$1: mkfs" $2 "/dev/$dev"
	check "$1: mount" mount "/dev/$dev" /mnt
	check "$1: three trees are copied in at a time" fill /mnt
	check "$1: files are rewritten, cut and renamed" churn /mnt "$(rounds 5 200)"
	check "$1: unmount and mount again" remount
	check "$1: all files are what they were" compare /mnt
	check "$1: fstrim" fstrim /mnt
	check "$1: all files still are" eval 'drop_caches && compare /mnt'
	check "$1: unmount" umount /mnt
	check "$1: fsck" $3 "/dev/$dev"
}

prepare
rxe_up 1
load_server
load_client
modprobe ext4
null_blk fsdisk 1024 discard=1 blocksize=512
check 'the disk is mapped' map_disk files /dev/fsdisk "$(path 1)"
fs_test ext4 'mkfs.ext4 -q -E lazy_itable_init=0' 'fsck.ext4 -fn'
# the debug kernel is without it: it would take as long to build as all its networking
if modprobe xfs 2> /dev/null; then
	fs_test xfs 'mkfs.xfs -q -f' 'xfs_repair -n'
else
	skip 'xfs' 'this kernel has none'
fi
check 'the disk is unmapped' unmap_disk "$dev"
null_blk_remove fsdisk
finish
