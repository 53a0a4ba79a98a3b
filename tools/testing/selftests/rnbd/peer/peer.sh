# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # variables of and for lib.sh
#
# What the tests with the userspace peers share; needs lib.sh. The peers print
# TAP of their own, which peer_points turns into points of the running test.

PEER=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PEER_PORT=1300		# of peer-server; the kernel's server has 1234

# run.sh has built them; make would look at every file over 9p.
peer_build()
{
	# Kernel modules for verbs in user space; modprobe of rxe loads neither.
	modprobe -a ib_uverbs rdma_ucm || return
	[ -x "$PEER/peer-client" ] && [ -x "$PEER/peer-server" ] && [ -x "$PEER/proto-vectors" ] ||
		make -C "$PEER"
}

# Points of the running test from a peer's TAP.
peer_points()	# prefix file status
{
	local line diag='' plan='' failed=0

	while read -r line; do
		case $line in
		'ok '*' # SKIP '*)
			line=${line#ok * }
			skip "$1: ${line% # SKIP *}" "${line#* # SKIP }" ;;
		'ok '*)
			ok "$1: ${line#ok * }" ;;
		'not ok '*)
			not_ok "$1: ${line#not ok * }" "$diag"
			failed=1 ;;
		'1..'*)
			plan=$line ;;
		'# '*)
			diag="$diag${diag:+
}${line#\# }"
			continue ;;
		esac
		diag=
	done < "$2"
	# It ran to its end, and its exit status says what its points say.
	if [ -z "$plan" ] || [ "$3" != $failed ]; then
		not_ok "$1: complete" "status $3
$(tail -n 5 "$2")"
	fi
}

# A peer-client's points.
peer_client()	# prefix options...
{
	"$PEER/peer-client" "${@:2}" > /run/peer-client.tap 2>&1
	peer_points "$1" /run/peer-client.tap $?
}

peer_listens()
{
	grep -q '^# listening' /run/peer-server.tap
}

# A peer-server on $PEER_PORT, in the background.
peer_server_start()	# options...
{
	: > /run/peer-server.tap
	"$PEER/peer-server" --port "$PEER_PORT" "$@" > /run/peer-server.tap 2>&1 &
	peer_server=$!
	wait_for 60 peer_listens && return
	kill "$peer_server"
	wait "$peer_server"
	cat /run/peer-server.tap
	return 1
}

peer_server_gone()
{
	! kill -0 "$peer_server"
}

# Its points. It ends by itself after the sessions it was asked to serve; if it
# doesn't, that is a point that fails.
peer_server_end()	# prefix
{
	local status

	if ! wait_for 10 peer_server_gone; then
		not_ok "$1: the server's last session ends" \
			"$(tail -n 5 /run/peer-server.tap)"
		kill "$peer_server"
	fi
	wait "$peer_server"
	status=$?
	peer_points "$1" /run/peer-server.tap $status
}

# The same for one that serves until it is told to stop.
peer_server_stop()	# prefix
{
	kill "$peer_server"
	peer_server_end "$1"
}
