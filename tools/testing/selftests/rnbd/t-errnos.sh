#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What an administrator's command ends with when there is no path, no server, a server
# that has forgotten the session, or somebody who does the same. Whoever has a script
# goes by the errno. Those of a session that works are in t-map.
#
# TAKES: 20 s
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peer/peer.sh"

# One point a line: errno, file, text.
table()		# name < lines
{
	local errno file text

	while IFS=$'\t' read -r errno file text; do
		check_write "$1: ${file##*/} '$text'" "$errno" "$file" "$text"
	done
}

# The same command twice at a time: one of them does it, and the other is told that
# it is being done, or does not find the file any more, as if it had come later.
twice_at_once()	# count
{
	local i one two other

	for ((i = 0; i < $1; i++)); do
		map_disk twice /dev/ram1 "$(path 2)" || return
		write_errno "/sys/block/$dev/rnbd/unmap_device" normal > /run/one &
		two=$(write_errno "/sys/block/$dev/rnbd/unmap_device" force)
		wait $!
		one=$(< /run/one)
		case $one.$two in
		0.*) other=$two ;;
		*.0) other=$one ;;
		*) other=none ;;
		esac
		[[ $other =~ ^(EALREADY|ENODEV|ENOENT|missing)$ ]] || { echo "$one and $two"; return 1; }
	done
}

rxe_up 1 2
ram_disks 3 32
rtrs_server_args=sess_queue_depth=64
check 'the server loads' load_server
check 'the client loads' load_client
check 'map' map_disk errno /dev/ram0 "$(path 1)"
check 'another' map_disk errno /dev/ram1
d=/sys/block/$dev/rnbd p=$(clt_path errno 1)

check_write 'no path: disconnected by hand' 0 "$p/disconnect" 1
check 'no path: closed' wait_for 10 grep -qx closed "$d/state"
table 'no path' <<-END
	ECONNABORTED	$CLT/map_device	sessname=errno device_path=/dev/ram2
	ECONNABORTED	$d/remap_device	1
	EINVAL	$d/remap_device	2
	ENOENT	$d/resize	1024
	EINVAL	$d/resize	x
	EEXIST	$CLT/map_device	sessname=errno device_path=/dev/ram1
	EEXIST	$RTRS_CLT/errno/add_path	$(addrs 1)
	EINVAL	$RTRS_CLT/errno/add_path	$(addrs 2)@ip:10.9.2.2
	EINVAL	$RTRS_CLT/errno/add_path	
	EINVAL	$p/disconnect	0
	0	$p/disconnect	1
	0	$d/io_hold_sec	0
	0	$p/stats/reset_all	1
	EINVAL	$p/stats/reset_all	0
END
check 'no path: I/O fails' eval "! dd if=/dev/$dev of=/dev/null bs=4k count=1 iflag=direct"
is 'no path: the refused have left no disk' "$(cd /sys/block && echo rnbd*)" 'rnbd0 rnbd1'

check 'no server' unload rnbd_server rtrs_server
table 'no server' <<-END
	ENOTCONN	$p/reconnect	1
	EINVAL	$p/reconnect	yes
	ECONNREFUSED	$RTRS_CLT/errno/add_path	$(addrs 2)
	ECONNREFUSED	$CLT/map_device	sessname=new device_path=/dev/ram2 $(path 1)
	ECONNABORTED	$d/remap_device	1
END
# It tries again by itself, which the next part is not to depend on.
check_write 'no server: it is not to try again' 0 "$p/disconnect" 1

check 'a server that does not know us' load_server
table 'unknown' <<-END
	ENXIO	$RTRS_CLT/errno/add_path	$(addrs 2)
	0	$p/reconnect	1
	0	$RTRS_CLT/errno/add_path	$(addrs 2)
	0	$(clt_path errno 2)/disconnect	1
	0	$p/remove_path	1
	EEXIST	$RTRS_CLT/errno/add_path	$(addrs 2)
	0	$(clt_path errno 2)/remove_path	1
	0	$RTRS_CLT/errno/add_path	$(addrs 1)
END
check 'known: the session has a path' path_is errno 1 connected
check_write 'known: a second' 0 $RTRS_CLT/errno/add_path "$(addrs 2)"
check 'known: open again' wait_for 10 grep -qx open "$d/state"
table 'known' <<-END
	EALREADY	$d/remap_device	1
	EEXIST	$RTRS_CLT/errno/add_path	$(addrs 2)
	0	$(clt_path errno 2)/remove_path	1
	missing	$(clt_path errno 2)/remove_path	1
	0	$d/unmap_device	normal
	missing	$d/unmap_device	normal
END
check 'unmapped by two at once' twice_at_once "$(rounds 5 200)"
check 'unmap' unmap_all

# A server that is there and says nothing.
check 'a server in user space' eval 'peer_build && peer_server_start --sessions 0 --lax --export /dev/peer'
check 'map' map_disk mute /dev/peer "$(path 1)" "dest_port=$PEER_PORT"
p=$(clt_path mute 1)
check_write 'mute: disconnected by hand' 0 "$p/disconnect" 1
kill -STOP "$peer_server"
write_errno "$p/reconnect" 1 > /run/first &
first=$!
sleep 1
write_errno "$p/reconnect" 1 > /run/second &
second=$!
wait $first
is 'mute: who reconnects has to give way' "$(< /run/first)" ENOTCONN
kill -CONT "$peer_server"
wait $second
# who may have to wait until the server has seen to the first
check 'mute: to who reconnects later' grep -xE '0|ENOTCONN' /run/second
check 'mute: it connects in the end' wait_for 15 path_is mute 1 connected
check 'unmap' unmap_all
peer_server_stop 'a server in user space'
finish
