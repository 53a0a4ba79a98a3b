#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a server does not give: more than its limits to clients that want too much,
# and anything over devices that cannot carry RTRS. A failure means that one client
# can take a server's memory from all others, or that an administrator with the
# wrong network card waits for a timeout instead of being told.
#
# TAKES: 35 s
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peer/peer.sh"

limits=/sys/module/rtrs_server/parameters
devices=/sys/module/rnbd_server/parameters/max_session_devices

# One point: the errno, and just one line that names the limit.
refused()	# limit command...
{
	local lines

	lines=$(log | grep -c "the limit $1=")
	is "$1: refused" "$("${@:2}")" EUSERS
	is "$1: one line says so" $(($(log | grep -c "the limit $1=") - lines)) 1
}

map_errno()	# session device path...
{
	write_errno $CLT/map_device "sessname=$1 device_path=$2 ${*:3}"
}

# No limit but one, until it is taken back.
limit()		# name value
{
	was=$(< "$limits/$1")
	echo "$2" > "$limits/$1"
}
unlimit()	# name
{
	echo "$was" > "$limits/$1"
}

rxe_up 1 2
ram_disks 3 16
rtrs_server_args=sess_queue_depth=64
check 'the server loads' load_server
check 'the client loads' load_client
cons=$(($(nproc) + 1))

# --- sessions, paths, memory ------------------------------------------------------

check 'a session' map_disk one /dev/ram0 "$(path 1)"
first=$dev
for l in "max_sessions 1" "max_client_paths 1" "max_client_connections $((2 * cons - 1))" \
	 "max_memory_mb 15" "max_client_memory_mb 15" "max_half_open 0" "max_client_half_open 0"; do
	# shellcheck disable=SC2086 # name and value
	limit $l
	refused "${l% *}" map_errno two /dev/ram1 "$(path 1)"
	# another session is one thing, another path another
	case $l in
	max_sessions*)
		check_write 'max_sessions: another path' 0 $RTRS_CLT/one/add_path "$(addrs 2)"
		check_write 'and it is taken away' 0 "$(clt_path one 2)/remove_path" 1 ;;
	max_memory*|*half_open*)
		refused "${l% *}" write_errno $RTRS_CLT/one/add_path "$(addrs 2)" ;;
	*client*)
		check_write "${l% *}: from another address" 0 $RTRS_CLT/one/add_path "$(addrs 2)"
		check_write 'and it is taken away' 0 "$(clt_path one 2)/remove_path" 1 ;;
	esac
	unlimit "${l% *}"
	check "${l% *}: as many as that" map_disk two /dev/ram1 "$(path 1)"
	check 'the session ends' unmap_disk "$dev"
done
check 'the first one has noticed nothing' fio_verify "$first" --bs=4k --iodepth=8 --size=8m \
	--number_ios=100
echo 20 > $limits/max_client_memory_mb		# or it would be half of this
limit max_memory_mb 20
# What the last one had may be still on its way back.
check 'memory for two sessions' wait_for 10 map_disk two /dev/ram1 "$(path 1)"
second=$dev
refused max_memory_mb map_errno three /dev/ram2 "$(path 2)"
said()		# pattern
{
	log | grep -q "$1"
}
check 'which says how much is missing' said \
	'max_memory_mb=20 is reached .*: [0-9]* KiB more are wanted, [0-9]* KiB are left'
check 'and the client where to look' said \
	'session three: cannot connect: -\(EUSERS\|87\), a limit of the server'
check_write 'nor is there room for another path' EUSERS $RTRS_CLT/one/add_path "$(addrs 2)"
check 'which the client says, too' said "path $(addrs 2) cannot be added: -\(EUSERS\|87\)"
check 'one of them ends' unmap_disk "$second"
check 'and makes room for another' wait_for 10 map_disk three /dev/ram2 "$(path 2)"
check 'which ends' unmap_disk "$dev"
unlimit max_memory_mb
echo 0 > $limits/max_client_memory_mb
sleep 5		# what the server says next is not one line too many

# --- requests that a disk keeps ---------------------------------------------------------

# Sixteen of 128 KiB: two MiB, beside the 8.5 or so of each session.
dmsetup create frozen --table '0 32768 linear /dev/ram2 0' || bail 'no device mapper'
check 'a disk' map_disk two /dev/dm-0 "$(path 1)"
frozen=$dev
dmsetup suspend frozen
run_fio "$frozen" --rw=randwrite --bs=4k --iodepth=16 --io_size=64k > /run/frozen.out 2>&1 &
fio=$!
check 'which keeps 16 requests' wait_for 10 eval \
	'[ "$(awk "{print \$2}" "/sys/block/$frozen/inflight")" = 16 ]'
check_write 'its client goes' 0 "/sys/block/$frozen/rnbd/unmap_device" force
wait $fio
limit max_client_memory_mb 18
check 'the server has noticed' wait_for 10 eval '! ls $RTRS_SRV | grep -qx two'
refused max_client_memory_mb map_errno three /dev/ram1 "$(path 1)"
unlimit max_client_memory_mb
limit max_client_memory_mb 20
check 'no more is charged than what the disk keeps' map_disk three /dev/ram1 "$(path 1)"
check 'the session ends' unmap_disk "$dev"
unlimit max_client_memory_mb
dmsetup resume frozen
limit max_client_memory_mb 18
check 'nothing, when the requests have ended' wait_for 10 map_disk three /dev/ram1 "$(path 1)"
check 'the session ends' unmap_disk "$dev"
unlimit max_client_memory_mb
check 'the disk is free' wait_for 10 dmsetup remove frozen

# --- a path that is lost comes back when there is room --------------------------------

limit max_half_open 0
check_write 'the only path is disconnected' 0 "$(clt_path one 1)/disconnect" 1
check_write 'and cannot come back' ENOTCONN "$(clt_path one 1)/reconnect" 1
unlimit max_half_open
check 'until it can' wait_for 15 path_is one 1 connected
check 'the disk is open' wait_for 10 eval '[ "$(disk_attr "$first" state)" = open ]'

# --- open devices ------------------------------------------------------------------------

echo 2 > $devices
check 'a second device' map_disk one /dev/ram1
second=$dev
refused max_session_devices map_errno one /dev/ram2
check 'one is closed' unmap_disk "$second"
check 'and makes room for another' wait_for 5 map_disk one /dev/ram2
check 'unmap' unmap_all

# --- devices that cannot carry RTRS ------------------------------------------------------

# iWARP in software has no RDMA write with immediate. Debian's kernel has no such
# device; the debug kernel has.
# It listens to what comes over its own link, which what this machine sends to itself
# does not: so the peer has a network of its own. That is IPv6, since it does not make
# out IPv4 on a socket for both.
iwarp_up()
{
	ip netns add far && ip link add iwarp0 type veth peer name iwarp1 netns far &&
		ip addr add 10.8.0.1/24 dev iwarp0 && ip addr add 10.8.0.2/24 dev iwarp0 &&
		ip addr add fd08::2/64 dev iwarp0 nodad &&
		ip -n far addr add fd08::3/64 dev iwarp1 nodad && ip link set iwarp0 up &&
		ip -n far link set iwarp1 up &&
		rdma link add siw0 type siw netdev iwarp0 &&
		ip netns exec far rdma link add siw1 type siw netdev iwarp1
}
iwarp_down()
{
	ip netns exec far rdma link delete siw1 && rdma link delete siw0 &&
		ip link delete iwarp0 && ip netns delete far
}
says_why()
{
	log | grep -c 'siw0: iWARP has no RDMA write with immediate'
}
iwarp()
{
	check 'an iWARP device' iwarp_up
	start=${EPOCHREALTIME/./}
	check_map_errno 'a client cannot map over it' EOPNOTSUPP \
		'sessname=iwarp device_path=/dev/ram0 path=ip:10.8.0.1@ip:10.8.0.2'
	check 'which it says within two seconds' test $((${EPOCHREALTIME/./} - start)) -lt $((2000000 * ${RNBD_SLOW:-1}))
	is 'and in the log, once' "$(says_why)" 1
	check_map_errno 'also if it chooses the device' EOPNOTSUPP \
		'sessname=iwarp device_path=/dev/ram0 path=ip:10.8.0.2'
	check 'the peer is there' peer_build
	start=${EPOCHREALTIME/./}
	check 'a server refuses it' eval '! timeout 20 ip netns exec far "$PEER/peer-client" --server fd08::2 --source fd08::3 \
		--dev /dev/ram0 --only "SESS_INFO" > /run/iwarp.tap 2>&1'
	check 'within two seconds' test $((${EPOCHREALTIME/./} - start)) -lt $((2000000 * ${RNBD_SLOW:-1}))
	check 'and says why' test "$(says_why)" -gt 2
	check 'the devices go' iwarp_down
}

# Nor can one without fast registration.
cannot_register()
{
	log | grep -c 'rxe2: no fast memory registration'
}
check 'a device that cannot register memory fast' modprobe rnbd-oldhca device=rxe2
start=${EPOCHREALTIME/./}
check_map_errno 'a client cannot map over it' EOPNOTSUPP \
	"sessname=old device_path=/dev/ram0 $(path 2)"
check 'which it says within two seconds' test $((${EPOCHREALTIME/./} - start)) -lt $((2000000 * ${RNBD_SLOW:-1}))
is 'and in the log, once' "$(cannot_register)" 1
check 'the peer can be built' peer_build
"$PEER/peer-client" --help > /dev/null 2>&1	# it is read before it counts
start=${EPOCHREALTIME/./}
check 'a server refuses it' eval '! "$PEER/peer-client" --server 10.9.2.2 --source 10.9.2.1 \
	--dev /dev/ram0 --only "OPEN without SESS_INFO" > /run/old.tap 2>&1'
check 'within two seconds' test $((${EPOCHREALTIME/./} - start)) -lt $((2000000 * ${RNBD_SLOW:-1}))
check 'with the same errno' grep -q "Operation not supported" /run/old.tap
is 'and says why, once more' "$(cannot_register)" 2
check 'it can again' rmmod rnbd-oldhca
check 'and is used' map_disk old /dev/ram0 "$(path 2)"
check 'until it is unmapped' unmap_disk "$dev"

if modprobe siw 2> /dev/null; then
	iwarp
else
	skip 'iWARP' 'this kernel has no siw'
fi
finish
