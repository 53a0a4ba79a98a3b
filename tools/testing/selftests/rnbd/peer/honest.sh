# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # variables of and for lib.sh
#
# Somebody else's session, while a test does its worst beside it: a disk of the
# kernel's server, written and verified all the time. It is to see no error, and to
# get on in every 5 s, or as many times that as the kernel is slow; needs lib.sh.

# Sectors read and written since the disk is there.
honest_sectors()
{
	awk '{print $3 + $7}' "/sys/block/$honest/stat"
}

# Says when there was none for so long, though somebody waits; who is only about to start
# the next round of fio has none in flight.
honest_watch()
{
	local before=-1 now waits limit=$((5 * ${RNBD_SLOW:-1}))

	while [ -e /run/fio.go ]; do
		now=$(honest_sectors)
		waits=$(awk '{print $9}' "/sys/block/$honest/stat")
		if [ "$now" = "$before" ] && [ "$waits" != 0 ]; then
			echo "none in $limit s, at $now sectors"
		fi
		before=$now
		sleep $limit
	done > /run/progress
}

honest_start()	# device_path
{
	check 'an honest disk' map_disk honest "$1" "$(path 1)" || bail 'no disk'
	honest=$dev
	# Only so much that there is time for the others as well.
	fio_start "$honest" --bsrange=4k-28k --size=16M --io_size=8M --iodepth=2 \
		--thinktime=$((20 * ${RNBD_SLOW:-1}))ms
	honest_watch &
	honest_watcher=$!
}

honest_end()
{
	check 'the honest session has seen nothing of it' fio_end
	wait "$honest_watcher"
	check 'and got on all the time' eval '! grep . /run/progress'
	is 'over a path that was up all the time' \
		"$(< "$(clt_path honest 1)/stats/reconnects")" '0 0'
	check 'there was I/O' test "$(honest_sectors)" -gt 1000
	echo "# $(honest_sectors) sectors read, written and verified beside it"
	check 'unmap it' unmap_disk "$honest"
}
