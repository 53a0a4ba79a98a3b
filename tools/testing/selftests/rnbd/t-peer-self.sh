#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The userspace peers against each other, and our wire headers against the
# recordings of mainline. None of our modules is loaded: a failure here is one
# of the peers, or of rtrs-proto.h and rnbd-proto.h.
#
# That the peers see broken rules is shown, too: the server breaks one after the
# other on request (--wrong), and the client has to fail; the client's own tests
# break many, and a strict server has to fail.
#
# TAKES: 25 s
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peer/peer.sh"

rxe_up 1
check 'the peers can be built' peer_build || bail 'no peers'
server=(--server 10.9.1.2 --source 10.9.1.1 --port "$PEER_PORT" --exact --wait 20000)

"$PEER/proto-vectors" "$PEER"/vectors/*.txt > /run/vectors.tap
peer_points 'wire headers' /run/vectors.tap $?

for mode in n y; do
	check "mode $mode: start" peer_server_start --invalidate $mode --any-hb \
		--sectors 0x40000 --sessions 2
	peer_client "mode $mode" "${server[@]}" \
		--replay "$PEER/vectors/mainline-6.12-invalidate-$mode.txt"
	peer_server_end "mode $mode, server"
	[ -n "${RNBD_LONG:-}" ] || continue
	check "mode $mode: start again" peer_server_start --invalidate $mode \
		--sessions 0 --lax --depth "$(rounds 100 512)"
	peer_client "mode $mode" "${server[@]}"
	peer_server_stop "mode $mode, server"
done

# The client has to see each rule broken, by a test that comes across it.
sees()		# rule mode test
{
	local status

	peer_server_start --wrong "$1" --invalidate "$2" --lax --depth 16 \
		--sessions 0 || return
	"$PEER/peer-client" "${server[@]}" --only "$3" --wait 2000 > /run/sees.tap
	status=$?
	kill "$peer_server"
	wait "$peer_server"
	[ $status = 1 ] && grep '^# BROKEN' /run/sees.tap && grep '^not ok' /run/sees.tap
}

# One of each kind, or all.
rules='conn-rsp depth kind inv-plain'
[ -z "${RNBD_LONG:-}" ] || rules=$("$PEER/peer-server" --wrong list)
for rule in $rules; do
	case $rule in
	cid)			t='heartbeats are' ;;
	depth)			t='queue depth' ;;
	hangup)			t='one connection' ;;
	conn-rsp|info-rsp)	t='connect and' ;;
	open-rsp)		t='OPEN of an open' ;;
	error-data)		t='OPEN errors' ;;
	*)			t='write in place' ;;
	esac
	for mode in $(rounds y 'n y'); do
		check "client sees: $rule, mode $mode" sees "$rule" "$mode" "$t"
	done
done

# And the server: tests that break rules on purpose, in front of a strict one.
server_sees()	# test
{
	peer_server_start --depth 16 --sessions 0 || return
	"$PEER/peer-client" "${server[@]}" --only "$1" > /run/sees.tap ||
		{ cat /run/sees.tap; return 1; }
	kill "$peer_server"
	! wait "$peer_server" && grep '^# BROKEN' /run/peer-server.tap
}

server_is_content()	# test
{
	peer_server_start --depth 16 --sessions 0 --cache wb,fua || return
	"$PEER/peer-client" "${server[@]}" --only "$1" > /run/sees.tap || return
	kill "$peer_server"
	wait "$peer_server" || { cat /run/peer-server.tap; return 1; }
}

tests=('refused CONN_REQs' 'undefined' 'write flags')
[ -z "${RNBD_LONG:-}" ] || tests+=('INFO_REQ before' 'longer' 'shorter' 'I/O errors' \
	'unknown device' 'unknown message' 'any message' 'read-only' 'heartbeats are')
for t in "${tests[@]}"; do
	check "server sees: $t" server_sees "$t"
done
for t in 'SESS_INFO' 'write in place' 'one chunk' 'all chunks'; do
	[ "$t" = SESS_INFO ] && t='connect and'
	check "server sees nothing wrong: $t" server_is_content "$t"
done

finish
