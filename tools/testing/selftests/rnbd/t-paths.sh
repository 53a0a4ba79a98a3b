#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Several paths in a session: all are used, and when one fails its requests go on
# over the others, without an error and without a wrong block. When the last has
# failed, I/O ends with an error, at once, and nothing hangs.
#
# CPUS: 2
# TAKES: 45 s
. "$(dirname "$0")/lib.sh"

failed_over()	# session N
{
	awk '{print $6}' "$(clt_path "$1" "$2")/stats/rdma"
}

all_requests()
{
	cat $RTRS_CLT/multi/paths/*/stats/rdma | awk '{n += $1 + $3} END {print n}'
}

# Until there is something under way.
start_fio()
{
	local before

	before=$(all_requests)
	fio_start "$dev" --bsrange=512-124k --iodepth=64 --size=64m --io_size=16m
	wait_for 60 eval "[ \$(all_requests) -gt $((before + 500)) ]"
}

# Something is always under way: fio_start has its pauses, between rounds.
reader_start()
{
	run_fio "$1" --rw=randread --bs=4k --iodepth=32 --size=64m --time_based --runtime=600 \
		--continue_on_error=none > /run/reader.out 2>&1 &
	reader=$!
}
reader_runs()
{
	kill -0 $reader
}

rxe_up 1 2 3
ram_disks 3 128
load_server
load_client

check 'a session with three paths' map_disk multi /dev/ram0 "$(path 1)" "$(path 2)" "$(path 3)"
# What is lost here is to stay lost; t-reconnect has the rest.
echo 0 > $RTRS_CLT/multi/max_reconnect_attempts
for policy in round-robin min-inflight; do
	echo $policy > $RTRS_CLT/multi/mpath_policy
	before=("$(path_requests multi 1)" "$(path_requests multi 2)" "$(path_requests multi 3)")
	check "$policy: I/O with verification" fio_verify "$dev" --bs=4k --iodepth=64 --io_size=4m \
		--size=64m
	for n in 1 2 3; do
		check "$policy: path $n is used" \
			test $(($(path_requests multi $n) - before[n - 1])) -gt 50
	done
done

first=$dev
check 'a second device' map_disk multi /dev/ram1
reader_start "$dev"
dev=$first
start_fio
echo 1 > "$(srv_path multi 1)/disconnect"
check 'the server ends a path under I/O' wait_for 10 path_is multi 1 disconnected
sleep 2
check 'the device of another goes away under I/O' rdma link delete rxe2
check 'that path has ended' wait_for 10 path_is multi 2 disconnected
check 'I/O goes on' fio_runs
check 'all blocks are right' fio_end
check 'a reader has not seen any of it' reader_runs
stop_job $reader
check 'requests have failed over' test $(($(failed_over multi 1) + $(failed_over multi 2) +
					   $(failed_over multi 3))) -gt 0
is 'the device is open' "$(disk_attr "$dev" state)" open

start_fio
echo 1 > "$(srv_path multi 3)/disconnect"
check 'the last path ends under I/O' wait_for 10 path_is multi 3 disconnected
check 'I/O ends with an error' fio_fails
check 'the device is closed' wait_for 5 eval '[ "$(disk_attr $dev state)" = closed ]'
check 'new I/O fails at once' eval "! timeout 5 dd if=/dev/$dev of=/dev/null bs=4k count=1 iflag=direct"
is 'another device cannot be mapped on the session' \
	"$(write_errno $CLT/map_device 'sessname=multi device_path=/dev/ram2')" ECONNABORTED
check 'they can be unmapped' unmap_all
check 'and mapped again' map_disk multi /dev/ram0 "$(path 1)"
check 'and works' fio_verify "$dev" --bs=4k --iodepth=16 --io_size=1m --size=16m

# Who polls has hold of a connection, and looks at it until it is told of the end.
poll_rounds()	# count
{
	local i p

	for ((i = 0; i < $1; i++)); do
		p=$(clt_path polled $((i % 2 * 2 + 1)))
		echo 1 > "$p/disconnect" && sleep 0.3 && fio_runs &&
			echo 1 > "$p/reconnect" && sleep 0.3 && fio_runs || { echo "round $i"; return 1; }
	done
}
polled=(--ioengine=io_uring --hipri=1 --bs=4k --iodepth=8 --size=8m --io_size=1m)
n=$(rounds 4 200)
check 'poll queues' map_disk polled /dev/ram1 "$(path 1)" "$(path 3)" nr_poll_queues=2
fio_start "$dev" "${polled[@]}"
check "polled: $n times a path goes and comes" poll_rounds "$n"
check 'polled: all blocks are right' fio_end
fio_start "$dev" "${polled[@]}"
has_io()
{
	[ "$(awk '{print $1 + $2}' "/sys/block/$dev/inflight")" != 0 ]
}
check 'polled: I/O' wait_for 60 has_io
check 'polled: unmapped by force' unmap_disk "$dev" force
check 'polled: I/O ends with an error' fio_fails
dev=$(basename "$(readlink "$CLT/devices/!dev!ram0@multi")")

start_fio
check 'the only device goes away under I/O' rdma link delete rxe1
check 'I/O ends with an error then' fio_fails
check 'the device is closed then' wait_for 5 eval '[ "$(disk_attr $dev state)" = closed ]'
check 'it can be unmapped then' unmap_disk "$dev"
finish
