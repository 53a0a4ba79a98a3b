#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Our server and a client that behaves as mainline's: peer/peer-client. First it
# replays what a mainline client was recorded to send, and compares our server's
# answers with those of mainline's; then come its own tests. A failure means that
# a mainline client would not get on with our server.
#
# TAKES: 35 s
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peer/peer.sh"

rxe_up 1
check 'the peers can be built' peer_build || bail 'no peers'

# The recordings begin with a zeroed ram disk of 128 MiB as /dev/ram0.
ram_disks 1 128
null_blk disk1 64 discard=1 cache_size=1
client=(--server 10.9.1.2 --source 10.9.1.1 --wait 20000)

for mode in N Y; do
	rtrs_server_args=always_invalidate=$mode
	check "always_invalidate=$mode: load" load_server || continue
	blkdiscard /dev/ram0
	peer_client "$mode" "${client[@]}" \
		--replay "$PEER/vectors/mainline-6.12-invalidate-${mode,,}.txt"
	peer_client "$mode" "${client[@]}" --grants --dev /dev/ram0 ${RNBD_LONG:+--slow}
	for t in write flush discard errors; do
		peer_client "$mode, null_blk" "${client[@]}" --dev /dev/disk1 \
			--only $t
	done
	check "always_invalidate=$mode: unload" unload rnbd_server rtrs_server
done

rtrs_server_args='sess_queue_depth=500 max_chunk_size=16384'
check 'odd depth, small chunks: load' load_server
peer_client 'odd depth' "${client[@]}" --cids 2 --only write
peer_client 'odd depth' "${client[@]}" --grants --cids 2 --only 'queue depth'
peer_client 'odd depth' "${client[@]}" --cids 7 --only 'all chunks'
peer_client 'IPv6' --server fd09:1::2 --source fd09:1::1 --only 'chunk'

finish
