#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make demo": a remote disk over RDMA, from loading the modules to a checked
# file system and back, in a VM, with the commands as one would type them.
# Server and client are in the same VM here, joined by soft RoCE (rdma_rxe).
#
# On this machine it starts the VM; in the VM it is the demonstration.

set -u
here=$(cd "$(dirname "$0")" && pwd)

if [ "${1:-}" != --in-vm ]; then
	echo "Booting Debian's 6.12 kernel in QEMU, on this machine's file system, read-only ..."
	mkdir -p "$here/.cache/results"
	"$here/vm/run" --timeout 400 --console "$here/.cache/results/demo.console" \
		"$here/demo.sh" --in-vm && exit
	echo "The demonstration failed; the kernel's messages are in tools/testing/.cache/results/demo.console" >&2
	exit 1
fi

say()
{
	printf '\n[%3d s] %s\n' $SECONDS "$*"
}

# Show a command as typed, and run it; nothing goes on after a failure.
do_()
{
	local status

	printf '\n  # %s\n' "$*"
	# Without a pipe, so that assignments and cd would work.
	eval "$*" > /run/out 2>&1
	status=$?
	sed 's/^/    /' /run/out
	[ $status = 0 ] && return
	echo "  => failed with status $status. The kernel's last messages:"
	dmesg | tail -n 20 | sed 's/^/    /'
	exit 1
}

# Some hundred files that every machine has that can build this.
for tree in /usr/src/linux-headers-6.12*-common/include/net; do
	:
done

say 'An RDMA network: soft RoCE on a virtual network card. With real RDMA' \
	'hardware, this step is an IP address on each side.'
do_ modprobe -a rdma_rxe dummy
do_ ip link add roce0 type dummy
do_ ip link set roce0 mtu 4200 up
do_ 'ip addr add 10.9.1.1/24 dev roce0; ip addr add 10.9.1.2/24 dev roce0'
do_ rdma link add rxe0 type rxe netdev roce0
do_ rdma link

say 'The server: a disk (here 512 MiB of memory), and the server module. It' \
	'exports the block devices below its dev_search_path.'
do_ modprobe brd rd_nr=1 rd_size=524288
do_ modprobe rnbd-server dev_search_path=/dev
do_ 'lsmod | grep -E "rnbd|rtrs"'

say 'The client: one line maps the disk. 10.9.1.2 is the server.'
do_ modprobe rnbd-client
do_ 'echo "sessname=demo path=ip:10.9.1.1@ip:10.9.1.2 device_path=ram0 access_mode=rw" > /sys/class/rnbd-client/ctl/map_device'

say 'It is a block device like any other.'
do_ lsblk -o NAME,SIZE,TYPE,RO,PHY-SEC,LOG-SEC,MIN-IO,DISC-MAX /dev/rnbd0 /dev/ram0
do_ 'ls -l /sys/class/rnbd-client/ctl/devices/ | grep -o "[^ ]* ->.*"'
do_ 'cd /sys/block/rnbd0/rnbd && grep . state session mapping_path access_mode; cd /'
do_ 'cd /sys/class/rtrs-client/demo/paths/*/ && pwd -L && grep . state hca_name hca_port src_addr dst_addr; cd /'
do_ 'ls /sys/class/rtrs-server/demo/paths/ /sys/class/rnbd-server/ctl/devices/'

say 'A file system on it, and a real directory tree there and back.'
do_ mkfs.ext4 -q /dev/rnbd0
do_ 'mkdir -p /mnt/remote && mount /dev/rnbd0 /mnt/remote'
do_ df -h /mnt/remote
do_ "cp -r $tree /mnt/remote/tree && find /mnt/remote/tree -type f | wc -l"
say 'Unmount and mount again, so that it must come from the other side.'
do_ 'umount /mnt/remote && mount /dev/rnbd0 /mnt/remote'
do_ "(cd $tree && find . -type f -exec sha256sum {} +) > /run/sums; wc -l < /run/sums"
do_ '(cd /mnt/remote/tree && sha256sum --quiet -c /run/sums) && echo all the same'
do_ "cp -r /mnt/remote/tree /run/back && diff -r $tree /run/back && echo all the same"

say 'fio writes a pattern, reads it back and compares, with 4 KiB and mixed requests.'
verify='--ioengine=libaio --direct=1 --iodepth=32 --verify=crc32c --verify_fatal=1'
do_ "fio --name=v1 --filename=/mnt/remote/v1 --size=8M --rw=randwrite --bs=4k $verify | grep -E 'err=|WRITE|READ'"
do_ "fio --name=v2 --filename=/mnt/remote/v2 --size=32M --rw=randwrite --bsrange=4k-1m $verify | grep -E 'err=|WRITE|READ'"
do_ umount /mnt/remote
do_ fsck.ext4 -f -n /dev/rnbd0

say 'What it does in a second. This CPU is emulated: with real hardware, expect' \
	'a hundred times as much and more.'
speed='--filename=/dev/rnbd0 --ioengine=libaio --direct=1 --runtime=3 --time_based'
do_ "fio --name=small $speed --rw=randread --bs=4k --iodepth=32 | grep -E 'IOPS|clat .*avg'"
do_ "fio --name=large $speed --rw=read --bs=1m --iodepth=8 | grep -E 'IOPS|clat .*avg'"
do_ 'cat /sys/class/rtrs-client/demo/paths/*/stats/rdma'

say 'Unmap; unload.'
do_ 'echo normal > /sys/block/rnbd0/rnbd/unmap_device'
do_ 'ls /dev/rnbd* 2>/dev/null || echo no rnbd devices'
do_ rmmod rnbd_client rtrs_client rnbd_server rtrs_server rtrs_core
do_ '! dmesg | grep -wE "BUG|WARNING|Oops|Call Trace"'
say 'Done: nothing left, and nothing bad in the kernel log.'
