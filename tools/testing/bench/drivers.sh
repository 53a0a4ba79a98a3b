# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# In the VM: a disk by each of the drivers that are compared. setup_DRIVER sets $dev
# to its name, add_path_DRIVER N adds the path over rxeN. The disk behind it is always
# the same null_blk, which has no data.

# --- null: that disk itself ----------------------------------------------------

setup_null()
{
	dev=nullb0
}

add_path_null()
{
	:
}

# --- rnbd ----------------------------------------------------------------------

setup_rnbd()
{
	load_server && load_client && map_disk bench /dev/nullb0 "$(path 1)"
}

add_path_rnbd()
{
	addrs "$1" > $RTRS_CLT/bench/add_path
}

# --- nvme over RDMA ------------------------------------------------------------

nvmet=/sys/kernel/config/nvmet

nvme_connect()	# N
{
	local port=$nvmet/ports/$1

	mkdir "$port"
	echo rdma > "$port/addr_trtype"
	echo ipv4 > "$port/addr_adrfam"
	echo "10.9.$1.2" > "$port/addr_traddr"
	echo 4420 > "$port/addr_trsvcid"
	ln -s $nvmet/subsystems/bench "$port/subsystems/bench"
	echo "transport=rdma,traddr=10.9.$1.2,trsvcid=4420,host_traddr=10.9.$1.1,nqn=bench" \
		> /dev/nvme-fabrics
}

setup_nvme()
{
	modprobe -a nvmet-rdma nvme-rdma
	mount -t configfs configfs /sys/kernel/config 2>/dev/null || true
	mkdir $nvmet/subsystems/bench $nvmet/subsystems/bench/namespaces/1
	echo 1 > $nvmet/subsystems/bench/attr_allow_any_host
	echo /dev/nullb0 > $nvmet/subsystems/bench/namespaces/1/device_path
	echo 1 > $nvmet/subsystems/bench/namespaces/1/enable
	nvme_connect 1
	dev=nvme0n1
	wait_for 10 test -b /dev/$dev
}

# Over both in turn, as RNBD does.
add_path_nvme()	# N
{
	nvme_connect "$1"
	wait_for 10 test -e /sys/block/nvme0c$(($1 - 1))n1
	echo round-robin > /sys/class/nvme-subsystem/nvme-subsys0/iopolicy
}

# --- nbd over TCP --------------------------------------------------------------

# A connection for each CPU, as the others have a queue for each. The server goes to the
# disk for each request, as the others do: one that has it in its cache is another thing,
# and a round of one that is in there already is not like the round before.
setup_nbd()
{
	modprobe nbd nbds_max=1
	qemu-nbd --bind=10.9.1.2 --port=10809 --format=raw --cache=none --aio=native \
		--shared=0 --persistent /dev/nullb0 &
	wait_for 10 nbd-client -C "$(nproc)" -b 512 10.9.1.2 10809 /dev/nbd0 > /run/nbd-client 2>&1
	# its server is a program that does I/O, too
	io_begins='nbd_queue_rq[nbd]'
	dev=nbd0
}

# ---------------------------------------------------------------------------------

setup_driver()	# null|rnbd|nvme|nbd
{
	modprobe null_blk nr_devices=1
	"setup_$1"
}

# A function that is called once for each I/O of fio.
io_begins=io_submit_one

# What goes over the wire in any case: to this machine itself, by way of lo.
sent_packets()
{
	if [ "$dev" = nbd0 ]; then
		cat /sys/class/net/lo/statistics/tx_packets
	else
		awk '{ n += $1 } END { printf "%.0f\n", n }' /sys/class/infiniband/*/ports/1/hw_counters/sent_pkts
	fi
}

# Nanoseconds since the VM was started.
now()
{
	awk '{ printf "%.0f\n", $1 * 1000000000 }' /proc/uptime
}

fio_common=(--ioengine=libaio --direct=1 --norandommap=1 --randrepeat=1 --group_reporting=1)

# --name comes first, so that later options count for the job.
bench_fio()	# I/Os of a job, fio-options...
{
	fio --name=row --filename="/dev/$dev" "${fio_common[@]}" --number_ios="$1" "${@:2}"
}
