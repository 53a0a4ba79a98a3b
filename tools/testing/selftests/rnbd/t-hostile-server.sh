#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Our client and servers that break the rules: peer/hostile-server, in as many ways
# as a message has fields, and each of them at every step of a session. Nothing of
# that may harm more than the mapping that it is about: no crash, no hang, no wrong
# data, few lines in the log; and an honest server's disk can be had after each
# case. All the while another disk of an honest server is written and verified.
#
# RNBD_HOSTILE=TEXT: only the cases with that in their names, and the slow ones.
#
# LONG
# CPUS: 2
# TAKES: 120 s
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peer/peer.sh"
. "$(dirname "$0")/peer/honest.sh"

# A session is sooner there and gone with fewer chunks.
rtrs_server_args='sess_queue_depth=8 max_chunk_size=32768'

rxe_up 1
check 'the peers can be built' peer_build || bail 'no peers'
null_blk disk1 64
null_blk disk2 16
check 'the server loads' load_server || bail 'no server'
check 'the client loads' load_client || bail 'no client'

honest_start /dev/disk1

# --- the cases -----------------------------------------------------------------------

hostile=("$PEER/hostile-server" --path "$(addrs 1)")

# Those that take half a minute each, beside the others.
slow=()
start_slow()
{
	local name n=0

	while read -r name; do
		n=$((n + 1))
		"${hostile[@]}" --port $((1310 + n)) --session "slow-$n" --only "$name" \
			> "/run/slow.$n" 2>&1 &
		slow+=($!)
	done < <("${hostile[@]}" --list-slow)
}
end_slow()
{
	local n

	for n in "${!slow[@]}"; do
		wait "${slow[n]}"
		peer_points 'hostile server' "/run/slow.$((n + 1))" $?
	done
}

start_slow
"${hostile[@]}" --port "$PEER_PORT" --honest /dev/disk2 ${RNBD_HOSTILE:+--only "$RNBD_HOSTILE"} \
	> /run/hostile.tap 2>&1
peer_points 'hostile server' /run/hostile.tap $?
echo '# the longest of them:'
sed -n 's/^# \(.*\): map_device .*, \([0-9]*\) ms$/\2 ms: \1/p' /run/hostile.tap | sort -rn | sed -n '1,8s/^/#   /p'
end_slow

honest_end

log_lines()
{
	log | wc -l
}
check 'not many lines in the kernel log' test "$(log_lines)" -lt 8000

finish
