#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Messages spoiled at random, by a client that talks to our server (peer/fuzz-client)
# and a server that talks to our client (peer/fuzz-server), both at once. Either may
# be refused whatever it wants; what may not suffer is the kernel, nor an honest
# session beside them.
#
# RNBD_FUZZ=N: so many messages in each direction, instead of a few, as "make fuzz" has
# it. RNBD_SEED=S: those of an earlier run, as the result says it.
#
# LONG
# TAKES: 100 s
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peer/peer.sh"
. "$(dirname "$0")/peer/honest.sh"

count=${RNBD_FUZZ:-2000}
seed=${RNBD_SEED:-$((RANDOM << 15 | RANDOM))}
echo "# seed $seed, $count messages in each direction"

# A session is sooner there and gone with fewer chunks.
rtrs_server_args='sess_queue_depth=16 max_chunk_size=32768'

rxe_up 1
check 'the peers can be built' peer_build || bail 'no peers'
# Names so different that one does not become the other by a wrong bit or two.
null_blk honest 64
null_blk fuzz 16 discard=1 cache_size=1
check 'the server loads' load_server || bail 'no server'
check 'the client loads' load_client || bail 'no client'
honest_start /dev/honest

fuzz()		# client|server options...
{
	"$PEER/fuzz-$1" --seed "$seed" --count "$count" --time $((count / 5 + 300)) \
		"${@:2}" > "/run/fuzz-$1.tap" 2>&1
}

fuzz_points()	# client|server status
{
	grep '^# [0-9s]' "/run/fuzz-$1.tap" | sed "s/^#/# $1:/"
	peer_points "spoiled messages of a $1" "/run/fuzz-$1.tap" "$2"
}

fuzz client --server 10.9.1.2 --source 10.9.1.1 --device /dev/fuzz &
client=$!
fuzz server --path "$(addrs 1)"
status=$?
fuzz_points server $status
wait $client
status=$?
fuzz_points client $status

honest_end

# Each path and mapping may have its few lines, but not each message.
log_lines()
{
	log | wc -l
}
echo "# $(log_lines) lines in the kernel log"
check 'not many lines in the kernel log' test "$(log_lines)" -lt $((3000 + count * 2))

finish
