#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The queue depth that a client asks for: what it gets, what that costs the server,
# and that it is the same for as long as the session lasts, whatever comes and goes.
# A failure means that small clients take memory from others, or that a path does not
# come back because a server was given another parameter.
#
# TAKES: 60 s
. "$(dirname "$0")/lib.sh"

limits=/sys/module/rtrs_server/parameters

map_line()	# session device keys...
{
	echo "sessname=$1 device_path=$2 ${*:3}"
}
requests()
{
	cat "/sys/block/$dev/queue/nr_requests"
}
lines()		# text
{
	log | grep -c "$1"
}

rxe_up 1 2
ram_disks 4 16
rtrs_server_args=sess_queue_depth=128
check 'the server loads' load_server
check 'the client loads' load_client

# --- what there is -----------------------------------------------------------------------

check 'no depth asked for' map_disk s /dev/ram0 "$(path 1)"
is 'it is the server'\''s, less 8' "$(requests)" 120
check 'unmap' unmap_disk "$dev"
while read -r depth nr what; do
	check "$what: map" map_disk s /dev/ram0 "queue_depth=$depth $(path 1)"
	first=$dev
	is "$what: requests" "$(requests)" "$nr"
	check "$what: verified" fio_verify "$dev" --bsrange=512-64k --iodepth=16 --size=4m \
		--number_ios=60
	check "$what: a second disk, as many of them" map_disk s /dev/ram1
	is "$what: requests of the second" "$(requests)" "$nr"
	check "$what: both at once" fio_jobs "$dev" --bs=4k --rw=randwrite --iodepth=4 \
		--number_ios=50 --name=one --name=two --filename="/dev/$first"
	check "$what: unmap" unmap_all
done <<-END
	2	1	the least
	3	2	three
	16	14	sixteen
	0x40	56	hexadecimal
	128	120	what the server has
	1000	120	more than that
	65535	120	the most
END
for v in 0 1 -1 65536 4294967312 '' all 1.5; do
	check_map_errno "queue_depth=$v" EINVAL \
		"$(map_line s /dev/ram0 "queue_depth=$v" "$(path 1)")"
done
check 'no session was made for these' eval '! ls $RTRS_CLT | grep .'
check 'the usage text has the key' grep -q ' \[queue_depth=<' $CLT/map_device

# --- a session that there is -----------------------------------------------------------------

check 'a session' map_disk s /dev/ram0 "queue_depth=32 $(path 1)"
first=$dev
check 'a second disk, by the same words' map_disk s /dev/ram1 "queue_depth=32 $(path 1)"
for v in 2 31 33 128; do
	n=$(lines 'session s: is there already, with queue_depth=32')
	check_map_errno "another depth, $v" EINVAL "$(map_line s /dev/ram2 queue_depth=$v)"
	is 'one line says why' $(($(lines 'is there already, with queue_depth=32') - n)) 1
done
check 'it has noticed nothing' fio_verify "$first" --bs=4k --iodepth=8 --size=4m --number_ios=50
check 'unmap' unmap_all
check 'one that wants more than there is' map_disk s /dev/ram0 "queue_depth=1000 $(path 1)"
check 'a second disk, by the same words' map_disk s /dev/ram1 queue_depth=1000
check 'a third, with what there is' map_disk s /dev/ram2 queue_depth=128
check_map_errno 'neither of the two' EINVAL "$(map_line s /dev/ram3 queue_depth=129)"
check 'unmap' unmap_all
check 'one that asked for none' map_disk s /dev/ram0 "$(path 1)"
check_map_errno 'asks for some' EINVAL "$(map_line s /dev/ram1 queue_depth=16)"
check 'or for what it has' map_disk s /dev/ram1 queue_depth=128
check 'unmap' unmap_all

# --- memory ------------------------------------------------------------------------------------

# Chunks of 128 KiB: 128 of them do not fit ten MiB, with 64 there is room for one session,
# with 8 for some.
echo 10 > $limits/max_memory_mb
echo 10 > $limits/max_client_memory_mb
said='the limit max_memory_mb=10 is reached .*: [0-9]* KiB more are wanted, [0-9]* KiB are left'
heard='session s: cannot connect: .*EUSERS, a limit of the server, whose log says which'
n=$(lines "$said")
m=$(lines "$heard")
check_map_errno 'too much for the server' EUSERS "$(map_line s /dev/ram0 "$(path 1)")"
is 'it says so, in one line' $(($(lines "$said") - n)) 1
is 'and so does the client' $(($(lines "$heard") - m)) 1
# What an earlier one had may be still on its way back.
check 'less is not' wait_for 10 map_disk s /dev/ram0 "queue_depth=64 $(path 1)"
check_map_errno 'twice is' EUSERS "$(map_line t /dev/ram1 "queue_depth=64 $(path 1)")"
check_write 'and a second path is' EUSERS $RTRS_CLT/s/add_path "$(addrs 2)"
is 'which the client says, too' "$(lines "path $(addrs 2) cannot be added: .*EUSERS")" 1
check 'unmap' unmap_all
for i in 0 1 2 3; do
	check "a small one, $i" wait_for 10 map_disk small$i /dev/ram$i "queue_depth=8 $(path 1)"
done
check 'unmap' unmap_all
echo 0 > $limits/max_memory_mb
echo 0 > $limits/max_client_memory_mb

# What is free, of pages. A server's chunks are by far the most of a session.
free_kib()
{
	awk '
	FILENAME == "/proc/meminfo" && $1 == "MemFree:" { kib = $2 }
	FILENAME == "/proc/zoneinfo" && $1 == "count:" { kib += $2 * 4 }
	END { print kib }' /proc/meminfo /proc/zoneinfo
}
memory_of()	# depth
{
	local before

	before=$(free_kib)
	map_disk s /dev/ram0 "queue_depth=$1 $(path 1)" || return
	taken=$((before - $(free_kib)))
	unmap_disk "$dev"
}
check 'a session of 8 chunks' memory_of 8
small=$taken
check 'and one of 128' memory_of 128
echo "# $small KiB and $taken KiB"
check 'takes 15 MiB more, at least' test $((taken - small)) -ge $((13 << 10))

# --- paths -------------------------------------------------------------------------------------

check 'two paths' map_disk s /dev/ram0 "queue_depth=32 $(path 1) $(path 2)"
check 'verified over both' fio_verify "$dev" --bsrange=4k-64k --iodepth=32 --size=8m \
	--number_ios=100
check_write 'one is removed' 0 "$(clt_path s 2)/remove_path" 1
check_write 'and added again' 0 $RTRS_CLT/s/add_path "$(addrs 2)"
check_write 'the first is disconnected' 0 "$(clt_path s 1)/disconnect" 1
check_write 'and connected again' 0 "$(clt_path s 1)/reconnect" 1
check 'verified over both' fio_verify "$dev" --bsrange=4k-64k --iodepth=32 --size=8m \
	--number_ios=100
for p in 1 2; do
	check "path $p has carried some" test "$(path_requests s $p)" -gt 0
done
check 'unmap' unmap_disk "$dev"

# --- a server with another parameter -------------------------------------------------------------

reload()	# depth
{
	unload rnbd_server rtrs_server || return
	rtrs_server_args=sess_queue_depth=$1
	load_server
}
disk_open()
{
	[ "$(disk_attr "$dev" state)" = open ]
}
comes_back()	# words depth
{
	check "$1: reload" reload "$2"
	check "$1: the disk is open again" wait_for 20 disk_open
	check "$1: verified" fio_verify "$dev" --bs=4k --iodepth=16 --size=4m --number_ios=50
}
stays_down()
{
	[ "$(lines 'stays down: its server has changed')" -gt "$n" ]
}
for wish in '' queue_depth=32; do
	check "${wish:-no wish}: map" map_disk s /dev/ram0 "$wish $(path 1)"
	nr=$(requests)
	comes_back "${wish:-no wish}, more chunks" 256
	is "${wish:-no wish}: requests" "$(requests)" "$nr"
	comes_back "${wish:-no wish}, as many" 128
	n=$(lines 'stays down: its server has changed')
	check "${wish:-no wish}: reload with less" reload 16
	check "${wish:-no wish}: the path stays down" wait_for 20 stays_down
	check_write "${wish:-no wish}: by hand, too" ENOTCONN "$(clt_path s 1)/reconnect" 1
	check "${wish:-no wish}: unmap" unmap_disk "$dev"
	check "${wish:-no wish}: reload" reload 128
done
finish
