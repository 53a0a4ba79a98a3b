#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What can be watched: statistics that add up with what was done, an I/O followed
# through all layers by its chunk number, histograms of how long requests take. A
# failure means that whoever looks for a slow or lost request is led astray.
#
# CPUS: 2
# TAKES: 25 s
. "$(dirname "$0")/lib.sh"

tracing=/sys/kernel/tracing
debug=/sys/kernel/debug/rtrs-client

stat()		# file of a path
{
	cat "$(clt_path watch "${2:-1}")/stats/$1"
}

reads()		# count
{
	run_fio "$dev" --rw=read --bs=4k --number_ios="$1" --iodepth="${2:-1}" > /run/fio.reads
}

# Numbers, one a possible CPU, each followed by a space.
cpu_numbers()	# text
{
	[[ $1 =~ ^([0-9]+ )+$ ]] && [ "$(wc -w <<< "$1")" = "$cpus" ]
}

sum()
{
	xargs -n1 | awk '{s += $1} END {print s + 0}'
}

rxe_up 1 2
ram_disks 2 32
cpus=$(nproc --all)
check 'the server loads' load_server
check 'the client loads' load_client
check 'map' map_disk watch /dev/ram0 "$(path 1)"
# Whoever else looks at a new disk is done.
sleep 1

# --- statistics -------------------------------------------------------------------------

is 'reset_all says what it wants' "$(stat reset_all)" 'echo 1 to reset all statistics'
check_write 'reset_all: text' EINVAL "$(clt_path watch 1)/stats/reset_all" all
for f in rdma reconnects cpu_migration_from cpu_migration_to; do
	check_write "$f: 2" EINVAL "$(clt_path watch 1)/stats/$f" 2
done
# its OPEN counts, too
check 'the disk is open again' wait_for 10 eval '[ "$(disk_attr "$dev" state)" = open ]'
check_write 'reset_all' 0 "$(clt_path watch 1)/stats/reset_all" 1
is 'all is 0' "$(stat rdma)/$(stat reconnects)" '0 0 0 0 0 0/0 0'
check 'I/O: 100 reads, on one CPU' taskset -c 0 fio --name=one --filename="/dev/$dev" --rw=read \
	--bs=4k --number_ios=100 --direct=1 --ioengine=libaio --iodepth=1
read -r r rb w wb inflight over <<< "$(stat rdma)"
is '100 reads of 4128 bytes, no more' "$r $rb $w $wb $inflight $over" '100 412800 0 0 0 0'
check 'cpu_migration_from: a number a CPU' cpu_numbers "$(stat cpu_migration_from; echo)"
check 'cpu_migration_to: a number a CPU' cpu_numbers "$(stat cpu_migration_to; echo)"
is 'who came from somewhere went somewhere' "$(stat cpu_migration_from | sum)" \
	"$(stat cpu_migration_to | sum)"

# Sent by CPU 0, answered where the only path's softirq of the other queue is: the
# sum cannot be more than what was sent.
check 'not more than were sent' test "$(stat cpu_migration_from | sum)" -le 100
for cpu in 0 1; do
	taskset -c $cpu fio --name=one --filename="/dev/$dev" --rw=read --bs=4k --number_ios=50 \
		--direct=1 --ioengine=libaio --iodepth=8 > /dev/null
done
is 'and still the same' "$(stat cpu_migration_from | sum)" "$(stat cpu_migration_to | sum)"
check_write 'one alone is reset' 0 "$(clt_path watch 1)/stats/cpu_migration_from" 1
is 'it is 0' "$(stat cpu_migration_from | sum)" 0
is 'the others are not' "$(stat rdma | cut -d' ' -f1)" 200
check_write 'a reconnect' 0 "$(clt_path watch 1)/reconnect" 1
is 'is counted' "$(stat reconnects)" '1 0'
# its OPEN counts, too
check 'the disk is open again' wait_for 10 eval '[ "$(disk_attr "$dev" state)" = open ]'
check_write 'reset_all' 0 "$(clt_path watch 1)/stats/reset_all" 1
is 'all is 0' "$(stat rdma)/$(stat reconnects)/$(stat cpu_migration_to | sum)" '0 0 0 0 0 0/0 0/0'

# --- an I/O, followed ---------------------------------------------------------------------

for system in rnbd_clt rtrs_clt rtrs_srv rnbd_srv; do
	check "tracepoints: $system" test -d $tracing/events/$system
done
for event in rnbd_srv/{create_sess,destroy_sess,process_rdma,process_msg_{sess_info,open,close}} \
	rtrs_srv/send_io_resp_imm \
	rtrs_clt/{rtrs_clt_reconnect_work,rtrs_clt_close_conns,rtrs_rdma_error_recovery}; do
	check "tracepoint: $event" test -d "$tracing/events/$event"
done
for system in rnbd_clt rtrs_clt rtrs_srv rnbd_srv; do
	echo 1 > $tracing/events/$system/enable
done
traced()	# the events of chunk $chunk, in their order
{
	sed -n 's/.* [0-9.][0-9.]*: \([a-z_]*\): [^ ]*: chunk '"$chunk"',.*/\1/p' $tracing/trace | xargs
}
follow()	# name dd-options...
{
	local chunk

	echo > $tracing/trace
	dd bs=4k count=1 status=none "${@:2}" || return
	chunk=$(sed -n 's/.*rnbd_clt_submit: .*chunk \([0-9]*\), .*at sector 8192, .*/\1/p' $tracing/trace)
	is "$1: one chunk, from end to end" "$(traced)" \
		'rnbd_clt_submit rtrs_clt_request rtrs_srv_request process_rdma rnbd_srv_io_done send_io_resp_imm rtrs_clt_response rnbd_clt_complete'
	check "$1: 8 sectors, on both sides" test "$(grep -c '4096 bytes at sector 8192' $tracing/trace)" = 2
}
follow 'a read' if="/dev/$dev" of=/dev/null iflag=direct skip=1024
follow 'a write' if=/dev/zero of="/dev/$dev" oflag=direct conv=notrunc seek=1024

echo > $tracing/trace
check 'another disk' map_disk watch /dev/ram1
other=$dev
check 'unmap it' unmap_disk "$other"
for event in rnbd_clt_map process_msg_open rnbd_clt_unmap process_msg_close; do
	check "seen: $event" grep -q " $event: " $tracing/trace
done
echo > $tracing/trace
check_write 'a reconnect' 0 "$(clt_path watch 1)/reconnect" 1
for event in rtrs_rdma_error_recovery rtrs_clt_close_conns rtrs_srv_path_state destroy_sess \
	create_sess process_msg_sess_info rnbd_clt_reopen; do
	check "seen: $event" wait_for 5 grep -q " $event: " $tracing/trace
done
check_write 'another path' 0 $RTRS_CLT/watch/add_path "$(addrs 2)"
echo > $tracing/trace
ip link set roce2 carrier off
wait_for 5 path_is watch 2 disconnected
ip link set roce2 carrier on
check 'it comes back' wait_for 10 path_is watch 2 connected
check 'seen: rtrs_clt_reconnect_work' grep -q ' rtrs_clt_reconnect_work: ' $tracing/trace
echo 0 > $tracing/events/enable
check_write 'that path goes' 0 "$(clt_path watch 2)/remove_path" 1

# --- how long it takes ------------------------------------------------------------------

latency=$debug/watch/$(addrs 1)/latency
dev=rnbd0
requests()	# column
{
	awk -v c="$1" '!/^#/ {s += $c} END {print s + 0}' "$latency"
}
is 'nothing is measured' "$(cat $debug/enable_latency)" 0
reads 20
is 'nothing has been' "$(requests 3) $(requests 4)" '0 0'
check_write 'enable_latency: 2' EINVAL $debug/enable_latency 2
check_write 'measure' 0 $debug/enable_latency 1
reads 100 8
run_fio "$dev" --rw=write --bs=64k --number_ios=30 > /run/fio.writes
is 'each is counted, reads and writes apart' "$(requests 3) $(requests 4)" '100 30'
check 'each line is a power of two, twice as much, and has some' awk '
	/^#/ { next }
	$2 != 2 * $1 || $1 <= last || $3 + $4 == 0 { exit 1 }
	{ last = $1; for (n = $1; n > 1; n /= 2) if (n % 2) exit 1 }' "$latency"
check_write 'do not' 0 $debug/enable_latency 0
reads 20
is 'they do not count' "$(requests 3)" 100
check_write 'reset' 0 "$latency" 0
is 'it is' "$(requests 3) $(requests 4)" '0 0'
check 'unmap' unmap_all
check 'its folder is gone' test ! -e $debug/watch
finish
