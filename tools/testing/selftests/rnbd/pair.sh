# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # used by the tests
#
# What tests with two machines share, beside lib.sh; see ../../vm/pair. The client
# is 10.9.N.1, the server 10.9.N.2, on Soft RoCE over wire N, 1 or 2.

asked=0

# Soft RoCE takes a packet that the sender's own queue drops for an error of the
# queue pair, and of the one for management too, which then never works again. So that
# queue has to be long enough for whatever there may be, and is set up once, before there
# are packets: while one takes the place of another, packets are dropped.
queue()		# N
{
	tc qdisc replace dev "roce$1" root netem limit 100000
}

# Both ends: the network devices of both wires, with Soft RoCE on them.
pair_up()
{
	local n host=1

	[ "$RNBD_PAIR" = client ] || host=2
	modprobe -a virtio_net rdma_rxe virtio_blk sch_netem || bail 'no network'
	wait_for 10 test -e /sys/class/net/eth1
	for n in 1 2; do
		ip link set "eth$((n - 1))" name "roce$n" &&
		ip link set "roce$n" mtu 4200 up && queue "$n" &&
		ip addr add "10.9.$n.$host/24" dev "roce$n" &&
		rdma link add "rxe$n" type rxe netdev "roce$n" || bail "cannot set up wire $n"
	done
}

# Leave a request in a folder for whoever looks there; prints what it printed.
ask()		# folder seconds text
{
	# also one of its own for who asks in a subshell
	local base=/run/share/$1/$BASHPID.$((++asked))

	echo "$3" > "$base.tmp"
	mv "$base.tmp" "$base.cmd"
	if ! wait_for "$2" test -e "$base.done"; then
		rm -f "$base.cmd"
		echo "no answer: $3"
		return 1
	fi
	cat "$base.out" 2>/dev/null
	return "$(cat "$base.done")"
}

# Run commands on the server.
srv()		# commands
{
	ask cmd "${srv_timeout:-60}" "$*"
}

# Of the client's own end: as when somebody pulls the cable.
cable()		# N on|off
{
	ask host 20 "set_link $(($1 - 1)) $2"
}

server_is_up()
{
	wait_for "${1:-180}" test -e /run/share/ready
}

end_server()
{
	ask host 20 end_server
}

start_server()
{
	ask host 20 start_server
}

# Everything that leaves the client over a wire is lost, or late, until "none".
disturb()	# N netem-options...|none
{
	[ "$2" != none ] || set -- "$1"
	tc qdisc change dev "roce$1" root netem limit 100000 "${@:2}"
}

# The server's own log and modules are looked at, too.
pair_finish()
{
	awk '$1 ~ "^/dev/rnbd" {print $2}' /proc/mounts | xargs -r umount
	check 'nothing is mapped any more, or can be unmapped' unmap_all
	check 'server: the modules can be unloaded' srv unload_all
	check 'server: nothing bad in its kernel log' srv log_is_clean
	[ -z "${RNBD_GCOV:-}" ] || check 'server: which lines have run' srv save_coverage
	touch /run/share/over
	finish
}
