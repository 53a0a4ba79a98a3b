# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# In the VM: a disk by each of the drivers that are compared. setup_DRIVER sets $dev
# to its name. The disk is always the same null_blk, which has no data behind it.

setup_null()
{
	dev=nullb0
}

setup_rnbd()
{
	load_server && load_client && map_disk bench /dev/nullb0 "$(path 1)"
}

setup_nvme()
{
	local nvmet=/sys/kernel/config/nvmet

	modprobe -a nvmet-rdma nvme-rdma
	mount -t configfs configfs /sys/kernel/config 2>/dev/null || true
	mkdir $nvmet/subsystems/bench $nvmet/subsystems/bench/namespaces/1 $nvmet/ports/1
	echo 1 > $nvmet/subsystems/bench/attr_allow_any_host
	echo /dev/nullb0 > $nvmet/subsystems/bench/namespaces/1/device_path
	echo 1 > $nvmet/subsystems/bench/namespaces/1/enable
	echo rdma > $nvmet/ports/1/addr_trtype
	echo ipv4 > $nvmet/ports/1/addr_adrfam
	echo 10.9.1.2 > $nvmet/ports/1/addr_traddr
	echo 4420 > $nvmet/ports/1/addr_trsvcid
	ln -s $nvmet/subsystems/bench $nvmet/ports/1/subsystems/bench
	echo transport=rdma,traddr=10.9.1.2,trsvcid=4420,host_traddr=10.9.1.1,nqn=bench > /dev/nvme-fabrics
	dev=nvme0n1
	wait_for 10 test -b /dev/$dev
}

setup_driver()	# null|rnbd|nvme
{
	rxe_up 1
	modprobe null_blk nr_devices=1
	"setup_$1"
}

# --name comes first, so that later options count for the job.
bench_fio()	# I/Os of a job, fio-options...
{
	fio --name=row --filename="/dev/$dev" --ioengine=libaio --direct=1 \
		--norandommap=1 --randrepeat=1 --group_reporting=1 --number_ios="$1" "${@:2}"
}
