#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Our server and a client that breaks every rule: peer/hostile-client. An honest
# client, ours, does verified I/O in a session of its own the whole time: it must
# see no error, and get on. The server must not crash, leak or fill the log. A
# failure means that who can reach the port can harm the machine or its other
# clients.
#
# LONG
# TAKES: 190 s
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peer/peer.sh"

rxe_up 1
check 'the peers can be built' peer_build || bail 'no peers'

# --- disks ---------------------------------------------------------------------

# /dev/dm-0: each I/O takes longer than many a case.
slow_disk()
{
	modprobe dm_delay &&
	null_blk hostile-under 16 &&
	dmsetup create hostile-slow --table \
		'0 32768 delay /dev/hostile-under 0 500 /dev/hostile-under 0 500'
}
null_blk verified 16
null_blk hostile 16 discard=1
null_blk hostile-4k 16 discard=1 blocksize=4096
null_blk hostile-honest 16
null_blk hostile-ro 16
null_blk hostile-late 16 irqmode=2 completion_nsec=500000000
blockdev --setro /dev/hostile-ro
check 'a slow disk' slow_disk || bail 'no slow disk'

hostile=("$PEER/hostile-client" --server 10.9.1.2 --source 10.9.1.1 --server2 fd09:1::2
	--source2 fd09:1::1 --slow /dev/dm-0 --dev4k /dev/hostile-4k
	--quick 5000 ${RNBD_LONG:+--long --time 900})

# --- the honest client -----------------------------------------------------------

# The longest time in which no I/O ended. Of the statistics only the counts of
# reads and writes, as the times go on while I/O hangs.
watch_progress()	# rnbdN
{
	local now last='' reads writes since=$EPOCHSECONDS worst=0

	while [ -e /run/watched ]; do
		read -r reads _ _ _ writes _ < "/sys/block/$1/stat"
		now=$EPOCHSECONDS
		if [ "$reads $writes" != "$last" ]; then
			last="$reads $writes" since=$now
		elif [ $((now - since)) -gt $worst ]; then
			worst=$((now - since))
			echo $worst > /run/worst
		fi
		sleep 0.5
	done
}

honest_start()
{
	map_disk verified /dev/verified "$(path 1)" || return
	honest=$dev
	# not at full speed, which is for other tests: there are two CPUs
	fio_start "$honest" --bs=4k --iodepth=8 --size=4M --rate_iops=200
	echo 0 > /run/worst
	touch /run/watched
	watch_progress "$honest" &
	watcher=$!
}

honest_end()	# prefix
{
	rm /run/watched
	wait "$watcher"
	check "$1: no error and no wrong block for the honest client" fio_end
	check "$1: it got on in every 5 seconds" test "$(< /run/worst)" -lt $((5 * ${RNBD_SLOW:-1}))
	check "$1: its disk can be unmapped" unmap_disk "$honest"
}

# --- limits ------------------------------------------------------------------------

# What the server is known to refuse, where it has a limit: EUSERS.
limits=/sys/module/rtrs_server/parameters
known_limits()
{
	[ ! -e $limits/max_client_half_open ] ||
		known=(--half-open "$(< $limits/max_client_half_open)" --half-open-errno 87)
}

# --- what is left behind -----------------------------------------------------------

# All the kernel has for the server and the honest client.
resources()
{
	rdma resource show rxe1
}

given_back()
{
	[ "$(resources)" = "$before" ]
}

# Lines of the server, which the clients have caused.
server_lines()
{
	log | grep -cE '(rtrs|rnbd)_server: '
}

# So many in five seconds are let through: a slow kernel has more of these.
few_lines()	# limit since
{
	local n=$(($(server_lines) - $2))

	echo "$n lines"
	[ $n -le $(($1 * ${RNBD_SLOW:-1})) ]
}

# Each case may cause some lines, and none many.
attack()	# prefix limit-of-lines options...
{
	local since

	since=$(server_lines)
	"${hostile[@]}" "${known[@]}" "${@:3}" > /run/hostile.tap 2>&1
	peer_points "$1" /run/hostile.tap $?
	check "$1: all is given back" wait_for 20 given_back || resources
	check "$1: few lines in the log" few_lines "$2" "$since"
}

# Killed in the middle of it, so that the kernel has to tidy up for it. What was on
# its way then the server gives up by itself, when a path has not come up in 30 s.
killed()	# options...
{
	local pid

	"${hostile[@]}" "$@" > /run/killed.tap 2>&1 &
	pid=$!
	sleep 2
	kill -9 $pid
	wait $pid
	wait_for 45 given_back
}

serve()		# prefix server-parameters
{
	rtrs_server_args="$2 sess_queue_depth=50"
	check "$1: load" load_server || bail 'no server'
	known=()
	known_limits
	check "$1: an honest client" honest_start || bail 'no client'
	before=$(resources)
}

end()		# prefix
{
	honest_end "$1"
	check "$1: unload" unload rnbd_client rtrs_client rnbd_server rtrs_server
}

load_client
serve Y always_invalidate=Y
attack 'Y, floods' 80 --only 'half-open: 500' --only 'connect: a hundred'
attack 'Y' 1000 --skip 'half-open: 500' --skip 'connect: a hundred'
attack 'Y, RKEY_ROLL' 300 --roll --only chunk: --only rewrite: --only key:
for what in $(rounds 'I/O verbs' 'connect half-open INFO_REQ end I/O verbs'); do
	check "Y: killed in the middle of $what" killed --only $what
done
end Y

load_client
serve N always_invalidate=N
only=(--only chunk: --only rewrite: --only key: --only immediate:)
[ -z "${RNBD_LONG:-}" ] || only=()
attack 'N' 600 "${only[@]}"
end N

finish
