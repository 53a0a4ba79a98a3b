#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# CPUs with gaps in their numbers, CPUs that come and go under I/O, more CPUs than
# queues and fewer. Who takes a CPU's number for an index, or waits for a queue
# whose CPU is gone, hangs, or answers the wrong request, here.
#
# CPUS: 2
# VM: --cpus 4
. "$(dirname "$0")/lib.sh"

verify()	# fio-options...
{
	fio_verify "$dev" --bsrange=512-64k --iodepth=8 --size=32m --io_size=2m "$@"
}

queues()
{
	find "/sys/block/$dev/mq" -mindepth 1 -maxdepth 1 | wc -l
}

# I/O from every CPU that is online, each to a part of the disk.
verify_each()
{
	local cpu jobs=()

	for cpu in 0 1 2 3; do
		[ "$cpu" = 0 ] || [ "$(cat /sys/devices/system/cpu/cpu$cpu/online)" = 1 ] ||
			continue
		jobs+=(--name="cpu$cpu" --cpus_allowed="$cpu" --offset="$((cpu * 8))m")
	done
	fio_jobs "$dev" "${verified[@]}" --bsrange=512-64k --iodepth=8 --size=8m \
		--io_size=512k "${jobs[@]}"
}

online()
{
	cat /sys/devices/system/cpu/online
}

rxe_up 1
ram_disks 2 64
check 'the server loads' load_server
check 'the client loads' load_client
is 'CPUs' "$(online)" 0-3

check 'CPU 1 goes offline' cpu_online 1 0
is 'CPUs' "$(online)" 0,2-3
check 'map: numbers with a gap' map_disk gap /dev/ram0 "$(path 1)"
is 'a queue for each CPU there is' "$(queues)" 3
check 'I/O from each of them' verify_each
check 'CPU 1 comes' cpu_online 1 1
check 'I/O: more CPUs than queues' verify_each
check 'CPU 3 goes' cpu_online 3 0
check 'I/O: a queue without its CPU' verify_each
check 'unmap' unmap_disk "$dev"

check 'only CPU 0 and 2' cpu_online 1 0
is 'CPUs' "$(online)" 0,2
check 'map: with poll queues' map_disk gap /dev/ram0 "$(path 1)" nr_poll_queues=-1
is 'they are two' "$(disk_attr "$dev" nr_poll_queues)" 2
check 'I/O' verify_each
check 'polled I/O' verify --ioengine=io_uring --hipri=1
check 'CPU 2 goes' cpu_online 2 0
check 'polled I/O' verify --ioengine=io_uring --hipri=1
check 'CPU 1 comes' cpu_online 1 1
check 'CPU 3 comes' cpu_online 3 1
check 'I/O' verify_each
check 'polled I/O' verify --ioengine=io_uring --hipri=1
check 'unmap' unmap_disk "$dev"
check 'all CPUs are there again' cpu_online 2 1

check 'map: all CPUs' map_disk gap /dev/ram0 "$(path 1)"
is 'a queue for each CPU' "$(queues)" 4
fio_verify "$dev" --bsrange=512-64k --iodepth=16 --size=8m --numjobs=2 --offset_increment=16m \
	--loops=1000 --time_based --runtime="$(rounds 10 300)" > /run/fio.bg 2>&1 &
fio=$!
come_and_go()
{
	local cpu last=

	while kill -0 $fio 2>/dev/null; do
		cpu=$((RANDOM % 3 + 1))
		[ -z "$last" ] || cpu_online "$last" 1 || return
		cpu_online $cpu 0 || return
		toggled=$((toggled + 1)) last=$cpu
		sleep 0.$((RANDOM % 9))
	done
	cpu_online "$last" 1
}
toggled=0
check 'CPUs come and go under I/O' come_and_go
check 'often' test $toggled -gt 3
check 'all blocks are right' eval "wait $fio || { cat /run/fio.bg; false; }"

# Only CPU 0: all others with what they have in flight.
run_fio "$dev" --rw=randread --bs=4k --iodepth=64 --numjobs=4 --time_based --runtime=7 > /run/fio.bg 2>&1 &
fio=$!
sleep 2
for cpu in 1 2 3; do
	check "CPU $cpu goes under I/O" cpu_online $cpu 0
done
check 'I/O goes on to its end' eval "wait $fio || { cat /run/fio.bg; false; }"
check 'another disk on a single CPU' map_disk one /dev/ram1 "$(path 1)"
is 'one queue' "$(queues)" 1
check 'I/O' verify
for cpu in 1 2 3; do
	cpu_online $cpu 1
done
check 'I/O from all CPUs through one queue' verify_each
check 'unmap' unmap_all
finish
