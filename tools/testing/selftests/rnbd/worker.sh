#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs in a VM, for run.sh: tests one after another, each taken from those that are
# still to be run, which the VMs of a run share. To boot, to load the modules of RDMA
# and to translate their code takes longer than many a test.
#
# Each test is to find the VM as the first one did. So the VM ends after a test that
# has failed, or has left something behind that "tidy" does not put right, and the
# next begins in a new one.
#
#	worker.sh ID	below /run/share: todo/CPUS/TEST, running/ID/TEST while it runs,
#			done/TEST, and its TEST.tap, TEST.console, TEST.status;
#			ID.took, the last that it took

cd "$(dirname "$0")" || exit 1
. ./lib.sh > /dev/null		# for what is bad in a log
here=$PWD share=/run/share mine=/run/share/running/$1
export RNBD_WORKER=1		# tests leave it to us to look for lost memory

# The next one, if nobody else is faster.
take()
{
	local t

	for t in "$share/todo/$(nproc)"/*; do
		mv "$t" "$mine/" 2>/dev/null || continue
		name=${t##*/}
		name=${name#*-}
		return
	done
	return 1
}

# Whatever a test may have made and not removed.
tidy()
{
	local f

	cd "$here" || exit 1
	awk '$2 ~ "^/mnt" {print $2}' /proc/mounts | xargs -r umount
	dmsetup remove_all
	losetup -D
	for f in /sys/kernel/config/nullb/*/power; do
		[ ! -e "$f" ] || { echo 0 > "$f"; rmdir "${f%/power}"; }
	done
	for f in /sys/class/infiniband/*; do
		[ ! -e "$f" ] || rdma link delete "${f##*/}"
	done
	for f in /sys/class/net/*; do
		[ "${f##*/}" = lo ] || ip link delete "${f##*/}"
	done
	ip route flush type unreachable
	rmmod brd null_blk loop nbd dm_mod
	echo > /sys/kernel/tracing/trace
	find /run /dev/shm /mnt -mindepth 1 -maxdepth 1 ! -path /run/vm ! -path "$share" \
		! -path /run/output ! -path "$scratch" -exec rm -rf {} +
} > /dev/null 2>&1

# What the next test could notice.
state()
{
	local f programs=()

	ls /sys/block /sys/class/net /sys/class/infiniband
	ip route show table all
	awk '{print $2, $3}' /proc/mounts
	cat /sys/devices/system/cpu/online /sys/kernel/tracing/set_event
	cat /sys/kernel/mm/transparent_hugepage/enabled
	# programs; a thread of the kernel has no arguments
	for f in /proc/[0-9]*/cmdline; do
		read -r -d '' f < "$f" && programs+=("$f")
	done
	printf '%s\n' "${programs[@]}" | sort
}

cpu_ticks()
{
	awk '$1 == "cpu" {print $2 + $3 + $4 + $7 + $8}' /proc/stat
}

# A module that is loaded later in one test than in another is no difference.
scratch=$(mktemp -d /run/worker.XXXXXX) || exit 1
modprobe -a rdma_rxe dummy configfs
mount -t configfs configfs /sys/kernel/config
tidy		# a kernel may have a dummy0 of its own
state > "$scratch/before"
while take; do
	begin=$SECONDS ticks=$(cpu_ticks) tap=$share/$name.tap
	echo "$name" > "$share/$1.took"
	"./$name.sh" > "$tap" 2>&1 < /dev/null
	status=$?
	dmesg -c > "$share/$name.console"
	echo "$status $((SECONDS - begin)) $((($(cpu_ticks) - ticks) / 100))" > "$share/$name.status"
	over=
	[ $status = 0 ] && ! grep -q '^not ok' "$tap" || over=1
	[ -n "$over" ] || tidy
	state > "$scratch/after"
	# what comes of a test after its own look at the log is the test's, too
	dmesg -c >> "$share/$name.console"
	cp "$share/$name.console" "$scratch/dmesg"
	! grep -q "rnbd: $name ends\$" "$scratch/dmesg" ||
		sed -i "1,/rnbd: $name ends\$/d" "$scratch/dmesg"
	if [ -z "$over" ] && grep -E "$log_bad" "$scratch/dmesg" > "$scratch/bad"; then
		echo "not ok 1 - nothing bad in the kernel log afterwards" >> "$tap"
		sed 's/^/#   /' "$scratch/bad" >> "$tap"
		over=1
	elif [ -z "$over" ] && ! cmp -s "$scratch/before" "$scratch/after"; then
		diff "$scratch/before" "$scratch/after" | sed -n '1,20s/^/# left: /p' >> "$tap"
		over=1
	fi
	mv "$mine"/*-"$name" "$share/done/"
	[ -z "$over" ] || break
done
# of all the tests: one such look takes longer than many a test
[ ! -e "$kmemleak" ] || nothing_leaked
