#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Mapping and unmapping: every key of map_device, every errno that can be had,
# and every file that a mapped disk brings with it on both sides, with its mode
# and its format. Tools and operators' scripts work on these names, numbers and
# texts: what fails here breaks them. What a failed mapping leaves behind stays
# for ever, as nobody can unmap it.
#
# TAKES: 60 s
. "$(dirname "$0")/lib.sh"

map()		# errno text		a point for each refused line
{
	check_map_errno "$1: $2" "$1" "$2"
}

# Files, one a line, in the directory $1: "mode contents", tab, name. Contents in
# slashes are a regular expression. One point each.
files()		# directory < lines
{
	local want name mode text regex i=0 names=() wants=() modes=()

	while IFS=$'\t' read -r want name; do
		names+=("$1/$name")
		wants+=("$want")
	done
	mapfile -t modes < <(stat -c %a "${names[@]}" 2>&1)
	for name in "${names[@]}"; do
		mode=${modes[i]} want=${wants[i++]} text=
		[ ! -f "$name" ] || IFS= read -r text < "$name"
		regex=${want#* /}
		if [[ $want == *' /'*/ && "$mode $text" =~ ^${want%% *}\ ${regex%/}$ ]]; then
			ok "${name#/sys/}"
		else
			is "${name#/sys/}" "$mode $text" "$want"
		fi
	done
}

file_is()	# mode contents file
{
	files "${3%/*}" <<< "$1 $2	${3##*/}"
}

link_is()	# link target
{
	check "${1#/sys/} is a link" test "$1" -ef "$2" -a -L "$1"
}

# Nothing is mapped, no session lives on either side, and the server has not kept
# a disk open.
nothing_left()
{
	! ls -d /sys/block/rnbd* /dev/rnbd* 2>/dev/null | grep . &&
	! ls $CLT/devices $RTRS_CLT | grep -v : | grep . &&
	wait_for 10 nothing_left_on_server
}
nothing_left_on_server()
{
	! ls $SRV/devices $RTRS_SRV | grep -v : | grep . &&
	[ "$(cat /sys/module/brd/refcnt)" = 0 ]
}

# modprobe fails with EINVAL, and the log has a line that says what the range is.
module_refuses()	# module parameters...
{
	local message mark="loading $* ($RANDOM)"

	echo "$mark" > /dev/kmsg
	if message=$(modprobe "$@" 2>&1); then
		rmmod "$1"
		return 1
	fi
	echo "$message"
	[ "$(errno_of "$message")" = EINVAL ] &&
		dmesg | grep -F -A 9 "$mark" | grep -E 'must be.*[0-9]+\.\.[0-9]+'
}

again_and_again()	# count
{
	local i

	for ((i = 0; i < $1; i++)); do
		map_disk again /dev/ram0 "$(path 1)" && unmap_disk "$dev" ||
			{ echo "round $i of $1"; return 1; }
	done
}

refused_again_and_again()	# count
{
	local i errno

	for ((i = 0; i < $1; i++)); do
		errno=$(write_errno $CLT/map_device "sessname=again device_path=/dev/none $(path 1)")
		[ "$errno" = ENOENT ] || { echo "round $i of $1: $errno"; return 1; }
	done
}

# errno of a direct read of 4 KiB
read_errno()	# rnbdN
{
	local message

	if message=$(dd if="/dev/$1" of=/dev/null bs=4k count=1 iflag=direct status=none 2>&1); then
		echo 0
	else
		errno_of "$message"
	fi
}

long()		# length
{
	printf "%0$1d" 0
}

rxe_up 1 2
ram_disks 4 32

# --- modules ---------------------------------------------------------------

for p in max_chunk_size=4096 max_chunk_size=131071 sess_queue_depth=0 sess_queue_depth=65536 \
	 'sess_queue_depth=4096 max_chunk_size=131072'; do
	# shellcheck disable=SC2086 # a list
	check "rtrs-server refuses $p and says why" module_refuses rtrs-server $p
done
rtrs_server_args='sess_queue_depth=2048 max_chunk_size=131072'
check 'the largest queue depth there can be is accepted' load_server
unload rnbd_server rtrs_server
rtrs_server_args=

check 'the server loads' load_server
check 'the client loads' load_client
files /sys/module <<-END
	444 Y	rtrs_server/parameters/always_invalidate
	444 131072	rtrs_server/parameters/max_chunk_size
	444 512	rtrs_server/parameters/sess_queue_depth
	444 1234	rnbd_server/parameters/port_nr
	644 /	rnbd_server/parameters/dev_search_path
END
link_is $CLT /sys/devices/virtual/rnbd-client/ctl
for m in $MODULES; do
	is "license of $m" "$(modinfo -F license "$m")" GPL
done

# A session is sooner there and gone with fewer chunks.
check 'the server is unloaded' unload rnbd_server rtrs_server
rtrs_server_args=sess_queue_depth=64
check 'and loaded for smaller sessions' load_server

# --- what a mapped disk looks like -------------------------------------------

files $CLT <<-'END'
	644 /Usage: echo ".*sessname=.*path=.*" > map_device/	map_device
END
read -r usage < $CLT/map_device
for key in sessname device_path path dest_port access_mode nr_poll_queues \
	   io_hold_sec io_timeout_sec; do
	check "the usage names $key" test "$usage" != "${usage/$key=/}"
done
is 'the usage ends with what an address is' "$(tail -n 2 $CLT/map_device)" "
addr ::= [ ip:<ipv4> | ip:<ipv6> | gid:<gid> ]"

check 'a disk can be mapped' map_disk s1 /dev/ram1 "$(path 1)"
is 'it is the first' "$dev" rnbd0
check 'its node is a block device' test -b "/dev/$dev"
is 'its size is that of the exported disk' "$(size_of "$dev")" "$(size_of ram1)"
is 'there is room for 63 partitions' "$(cat /sys/block/rnbd0/range)" 64
link_is "$CLT/devices/!dev!ram1@s1" /sys/block/rnbd0

files /sys/block/rnbd0/rnbd <<-END
	444 s1	session
	444 /dev/ram1	mapping_path
	444 rw	access_mode
	444 0	nr_poll_queues
	444 open	state
	644 0	io_hold_sec
	644 0	io_timeout_sec
	644 Usage: echo <normal|force> > unmap_device	unmap_device
	644 Usage: echo <1> > remap_device	remap_device
	644 Usage: echo <new size in sectors> > resize	resize
END
files $RTRS_CLT/s1 <<-END
	644 min-inflight (MI: 1)	mpath_policy
	644 -1	max_reconnect_attempts
	644 5000	hb_interval_ms
	644 5	hb_missed_max
	644 Usage: echo [<source addr>@]<destination addr> > add_path	add_path
END
files "$(clt_path s1 1)" <<-END
	444 connected	state
	444 rxe1	hca_name
	444 1	hca_port
	444 ip:10.9.1.1	src_addr
	444 ip:10.9.1.2	dst_addr
	444 /[0-9]+ ns/	cur_latency
	644 /([0-9]+ ){5}[0-9]+/	stats/rdma
	644 0 0	stats/reconnects
	644 Usage: echo 1 > disconnect	disconnect
	644 Usage: echo 1 > reconnect	reconnect
	644 Usage: echo 1 > remove_path	remove_path
END
files "$(srv_path s1 1)" <<-END
	644 Usage: echo 1 > disconnect	disconnect
	444 rxe1	hca_name
	444 1	hca_port
	444 ip:10.9.1.1	src_addr
	444 ip:10.9.1.2	dst_addr
	644 /([0-9]+ ){3}[0-9]+/	stats/rdma
END
link_is $SRV/devices/ram1/block_dev /sys/block/ram1
files $SRV/devices/ram1/sessions/s1 <<-END
	444 0	read_only
	444 rw	access_mode
	444 /dev/ram1	mapping_path
	644 Usage: echo 1 > force_close	force_close
END

# SESS_INFO and OPEN are reads, and so is whatever looked for partitions.
check 'the set-up is counted' eval "read -r a b c d e f < '$(clt_path s1 1)/stats/rdma' &&
	echo \$a \$b \$c \$d \$e \$f && test \$a -ge 2 && test \"\$c \$d \$e \$f\" = '0 0 0 0'"
check_write "stats: text" EINVAL "$(clt_path s1 1)/stats/rdma" x
check_write "stats, server: text" EINVAL "$(srv_path s1 1)/stats/rdma" 2
check_write "stats: reset" 0 "$(clt_path s1 1)/stats/rdma" 1
check_write "stats, server: reset" 0 "$(srv_path s1 1)/stats/rdma" 1
dd if=/dev/rnbd0 of=/dev/null bs=4k count=1 iflag=direct status=none
dd if=/dev/zero of=/dev/rnbd0 bs=4k count=2 oflag=direct status=none
is 'one read and two writes of 4 KiB are counted' "$(cat "$(clt_path s1 1)/stats/rdma")" \
	'1 4128 2 8256 0 0'
is 'and on the server' "$(cat "$(srv_path s1 1)/stats/rdma")" '1 4128 2 8256'

for t in 'round-robin:round-robin (RR: 0)' 'MI:min-inflight (MI: 1)' 'rr:round-robin (RR: 0)' \
	 '1:min-inflight (MI: 1)' 'min-latency:min-latency (ML: 2)' '0:round-robin (RR: 0)' \
	 'ml:min-latency (ML: 2)' 'min-inflight:min-inflight (MI: 1)'; do
	echo "${t%%:*}" > $RTRS_CLT/s1/mpath_policy
	is "policy ${t%%:*}" "$(cat $RTRS_CLT/s1/mpath_policy)" "${t#*:}"
done
for t in 3 -1 round min-inflightx ''; do
	check_write "policy '$t'" EINVAL $RTRS_CLT/s1/mpath_policy "$t"
done

for t in disconnect reconnect remove_path; do
	check_write "$t: no 1" EINVAL "$(clt_path s1 1)/$t" 2
done
for t in max_reconnect_attempts:-2 max_reconnect_attempts:10000 max_reconnect_attempts:x \
	 hb_interval_ms:99 hb_interval_ms:60001 hb_missed_max:0 hb_missed_max:101 \
	 add_path:10.9.1.2 add_path:ip:10.9.1; do
	check_write "$t" EINVAL "$RTRS_CLT/s1/${t%%:*}" "${t#*:}"
done
for t in io_hold_sec io_timeout_sec; do
	check_write "$t" 0 "/sys/block/rnbd0/rnbd/$t" 7
	is "$t is taken over" "$(cat /sys/block/rnbd0/rnbd/$t)" 7
	check_write "$t: too long" EINVAL "/sys/block/rnbd0/rnbd/$t" 86401
	check_write "$t: no number" EINVAL "/sys/block/rnbd0/rnbd/$t" x
	check_write "$t: none" 0 "/sys/block/rnbd0/rnbd/$t" 0
done
check_write 'add a path that is there' EEXIST $RTRS_CLT/s1/add_path "$(addrs 1)"
check_write 'add another' 0 $RTRS_CLT/s1/add_path "$(addrs 2)"
check_write 'and remove it' 0 "$(clt_path s1 2)/remove_path" 1

# --- refused -----------------------------------------------------------------

on="$(path 1)"
map EEXIST 'sessname=s1 device_path=/dev/ram1'
map EEXIST "sessname=s1 device_path=/dev/ram1 $on"
map EEXIST 'sessname=s1 device_path=//dev/ram1'
map ENXIO 'sessname=none device_path=/dev/ram2'
map EINVAL "device_path=/dev/ram2 $on"
map EINVAL "sessname=new $on"
map EINVAL ''
map EINVAL "sessname=new device_path=/dev/ram2 $on nonsense=1"
map EINVAL "sessname=new device_path=/dev/ram2 $on nonsense"
map EINVAL "sessname= device_path=/dev/ram2 $on"
map EINVAL "sessname=new device_path= $on"
map EINVAL "sessname=n/w device_path=/dev/ram2 $on"
map EINVAL "sessname=n.w device_path=/dev/ram2 $on"
check_map_errno 'EINVAL: sessname of 255' EINVAL "sessname=$(long 255) device_path=/dev/ram2 $on"
check_map_errno 'EINVAL: device_path of 255' EINVAL "sessname=new device_path=$(long 255) $on"
for v in RW read migrate ''; do
	map EINVAL "sessname=new device_path=/dev/ram2 $on access_mode=$v"
done
for v in 0 65536 -1 x 1234x ''; do
	map EINVAL "sessname=new device_path=/dev/ram2 $on dest_port=$v"
done
map EPROTONOSUPPORT 'sessname=new device_path=/dev/ram2 path=10.9.1.2'
map EPROTONOSUPPORT 'sessname=new device_path=/dev/ram2 path=ip:10.9.1.1@10.9.1.2'
map EPROTONOSUPPORT 'sessname=new device_path=/dev/ram2 path=ipx:10.9.1.2'
map EINVAL 'sessname=new device_path=/dev/ram2 path=10.9.1.1@ip:10.9.1.2'
map EINVAL 'sessname=new device_path=/dev/ram2 path=ip:10.9.1@ip:10.9.1.2'
map EINVAL 'sessname=new device_path=/dev/ram2 path=ip:x,ip:10.9.1.2'
map EINVAL 'sessname=new device_path=/dev/ram2 path=ip:10.9.1.2.3'
map EINVAL 'sessname=new device_path=/dev/ram2 path=gid:xyz'
map ENOENT "sessname=new device_path=/dev/nothere $on"
map ENOTBLK "sessname=new device_path=/dev/null $on"
map ENOTBLK "sessname=new device_path=/dev $on"
map EINVAL "sessname=new device_path=/dev/../dev/ram2 $on"
map ENOENT 'sessname=s1 device_path=/dev/nothere'
map ENOTBLK 'sessname=s1 device_path=/dev/zero'
map EINVAL 'sessname=s1 device_path=../dev/ram2'

ip route add unreachable 10.66.0.0/16
map EHOSTUNREACH 'sessname=new device_path=/dev/ram2 path=ip:10.66.0.1'
map EHOSTUNREACH "sessname=new device_path=/dev/ram2 $on path=ip:10.66.0.1"
errno=$(write_errno $CLT/map_device "sessname=new device_path=/dev/ram2 $on dest_port=1999")
check "nobody listens: $errno" test "$errno" = ECONNREFUSED -o "$errno" = ECONNRESET
# Nobody there, and no way to know: the longest that a mapping may take.
if [ -n "${RNBD_LONG:-}" ]; then
	map ETIMEDOUT 'sessname=new device_path=/dev/ram2 path=ip:10.9.1.1@ip:10.9.1.77'
fi

is 'the refused have left no session' "$(ls $RTRS_CLT)" s1
check 'nor on the server' wait_for 10 eval "[ \"\$(ls $RTRS_SRV)\" = s1 ]"
is 'nor a disk' "$(cd /sys/block && echo rnbd*)" rnbd0
is 'nor a link' "$(ls $CLT/devices)" '!dev!ram1@s1'
is 'nor a disk open on the server' "$(ls $SRV/devices)/$(cat /sys/module/brd/refcnt)" ram1/1

# --- access modes ----------------------------------------------------------

two="$(path 2)"
map EPERM "sessname=s2 device_path=/dev/ram1 $two"
map EPERM "sessname=s2 device_path=/dev/ram1 access_mode=rw $two"
check 'ro is not refused' map_disk s2 /dev/ram1 access_mode=ro "$two"
ro=$dev
is 'it is read-only' "$(blockdev --getro "/dev/$ro") $(disk_attr "$ro" access_mode)" '1 ro'
is 'on the server, too' "$(cat $SRV/devices/ram1/sessions/s2/{read_only,access_mode} | xargs)" '1 ro'
errno=$(write_errno "/dev/$ro" '')
check 'it cannot be opened for writing' test "$errno" = EPERM -o "$errno" = EACCES
check 'nor made writable' eval "! blockdev --setrw /dev/$ro"
check 'but read' dd if="/dev/$ro" of=/dev/null bs=4k count=1 iflag=direct
check 'migration is not refused' map_disk m1 /dev/ram1 "$two" access_mode=migration
is 'access mode of it' "$(disk_attr "$dev" access_mode)" migration
is 'and on the server' "$(cat $SRV/devices/ram1/sessions/m1/{read_only,access_mode} | xargs)" '0 migration'
map EPERM "sessname=m2 device_path=/dev/ram1 $two access_mode=migration"
map EPERM "sessname=m2 device_path=/dev/ram1 $two"
check 'ro still is not refused' map_disk m4 /dev/ram1 "$two" access_mode=ro
check 'who came first goes' unmap_disk rnbd0
map EPERM "sessname=m3 device_path=/dev/ram1 $two access_mode=rw"
check 'the next migrates' map_disk m3 /dev/ram1 "$two" access_mode=migration
check 'all are unmapped' unmap_all
check 'nothing is left' nothing_left

# --- paths, ports, options ---------------------------------------------------

check 'keys in any order' map_disk any /dev/ram0 access_mode=rw "dest_port=1234 $(path 2) nr_poll_queues=0"
check_write 'it can be unmapped' 0 "/sys/block/$dev/rnbd/unmap_device" normal
check_map_errno 'path first, spaces, src,dst' 0 \
	'  path=ip:10.9.1.1,ip:10.9.1.2   device_path=/dev/ram0  sessname=any '
is 'its path' "$(ls $RTRS_CLT/any/paths)" "$(addrs 1)"
check 'it can be unmapped' unmap_all
check 'without a trailing newline' eval \
	"printf 'sessname=any device_path=/dev/ram0 path=ip:10.9.2.2' > $CLT/map_device"
check 'the source that was found is in the name' test -d "$(echo $RTRS_CLT/any/paths/ip:10.9.2.*@ip:10.9.2.2)"
check 'a path and a port for a session that exists are not looked at' \
	map_disk any /dev/ram1 path=nonsense dest_port=x
check 'it can be unmapped' unmap_all
check 'a name of 200 characters' map_disk "$(long 200)" /dev/ram0 "$(path 1)"
is 'it is whole' "$(disk_attr "$dev" session)" "$(long 200)"
check 'it can be unmapped' unmap_all

check 'IPv6' map_disk six /dev/ram0 "$(path6 1)"
is 'name of the path' "$(ls $RTRS_CLT/six/paths)" ip:fd09:1::1@ip:fd09:1::2
is 'and on the server' "$(ls $RTRS_SRV/six/paths)" ip:fd09:1::1@ip:fd09:1::2
is 'and its address' "$(cat $RTRS_CLT/six/paths/*/dst_addr)" ip:fd09:1::2
check 'it can be unmapped' unmap_all

check 'two disks, the first on two paths' map_disk pair /dev/ram0 "$(path 1)" "$(path 2)"
one=$dev
check 'the second on the same session' map_disk pair /dev/ram1
is 'one session with two paths' "$(ls $RTRS_CLT) $(ls $RTRS_CLT/pair/paths | wc -l)" 'pair 2'
check 'another session beside it' map_disk other /dev/ram2 "$(path 1)"
is 'three disks' "$(cd /sys/block && echo rnbd*)" 'rnbd0 rnbd1 rnbd2'
for ((i = 0; i < 3; i++)); do
	yes "this is disk $i" | dd of=/dev/rnbd$i bs=64k count=4 iflag=fullblock oflag=direct status=none
done
for ((i = 0; i < 3; i++)); do
	is "what is written to disk $i is on it" \
		"$(dd if=/dev/ram$i bs=64k count=1 iflag=direct status=none | head -n 1)" "this is disk $i"
done
check 'the first is unmapped' unmap_disk "$one"
check 'the session lives on' dd if="/dev/rnbd1" of=/dev/null bs=4k count=1 iflag=direct
check 'the free number is the next' map_disk other /dev/ram3
is 'it is 0' "$dev" rnbd0
check 'all are unmapped' unmap_all
check 'nothing is left' nothing_left

map_at_once()
{
	local i pids=()

	for ((i = 0; i < 4; i++)); do
		write_errno $CLT/map_device "sessname=once device_path=/dev/ram$i $(path 1)" > /run/once.$i &
		pids+=($!)
	done
	wait "${pids[@]}"
	[ "$(sort -u /run/once.*)" = 0 ] && [ "$(ls $RTRS_CLT)" = once ] &&
	[ "$(ls $CLT/devices | wc -l)" = 4 ] && [ "$(ls $RTRS_CLT/once/paths | wc -l)" = 1 ]
}
unmap_at_once()
{
	local i pids=()

	for ((i = 0; i < 4; i++)); do
		unmap_disk rnbd$i &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || return
	done
}
check 'four disks of one session mapped at once' map_at_once
check 'and unmapped at once' unmap_at_once
check 'nothing is left' nothing_left

# --- poll queues -------------------------------------------------------------

cpus=$(nproc)
for v in -2 $((cpus + 1)) x ''; do
	map EINVAL "sessname=poll device_path=/dev/ram0 $on nr_poll_queues=$v"
done
check 'a poll queue' map_disk poll /dev/ram0 "$on" nr_poll_queues=1
is 'its number' "$(disk_attr "$dev" nr_poll_queues)" 1
is 'the disk can poll' "$(cat "/sys/block/$dev/queue/io_poll")" 1
check 'polled I/O' fio --name=poll --filename="/dev/$dev" --ioengine=io_uring --hipri=1 --direct=1 \
	--rw=randwrite --bs=4k --iodepth=8 --io_size=1m --size=16m --verify=crc32c --verify_fatal=1
map EINVAL 'sessname=poll device_path=/dev/ram1'
map EINVAL 'sessname=poll device_path=/dev/ram1 nr_poll_queues=1'
check 'a second disk' map_disk poll /dev/ram1 nr_poll_queues=0
check 'both are unmapped' unmap_all
check 'as many poll queues as CPUs' map_disk poll /dev/ram0 "$on" nr_poll_queues=-1
is 'their number' "$(disk_attr "$dev" nr_poll_queues)" "$cpus"
check 'it is unmapped' unmap_all
check 'no poll queues' map_disk poll /dev/ram0 "$on"
map EINVAL 'sessname=poll device_path=/dev/ram1 nr_poll_queues=1'
is 'no polling' "$(cat "/sys/block/$dev/queue/io_poll")" 0

# --- unmap, resize, remap ----------------------------------------------------

d=/sys/block/$dev/rnbd
for v in '' Normal forced 1 'normal x'; do
	check_write "unmap_device '$v'" EINVAL $d/unmap_device "$v"
done
exec 5< "/dev/$dev"
check_write 'unmap while it is open' EBUSY $d/unmap_device normal
check 'it still works' dd if="/dev/$dev" of=/dev/null bs=4k count=1 iflag=direct
for v in '' x 2 0; do
	check_write "remap_device '$v'" EINVAL $d/remap_device "$v"
done
check_write 'remap while it is open' EALREADY $d/remap_device 1
check_write 'resize: text' EINVAL $d/resize abc
check_write 'resize: overflow' ERANGE $d/resize 0x1ffffffffffffffff
check_write 'resize: smaller' 0 $d/resize 0x8000
is 'the size, seen by who has it open' "$(blockdev --getsz /dev/fd/5)" 32768
check_write 'resize: octal' 0 $d/resize 0200000
is 'the size, seen by who has it open' "$(blockdev --getsz /dev/fd/5)" 65536

check_write 'force_close: text' EINVAL $SRV/devices/ram0/sessions/poll/force_close 0
check_write 'force_close' 0 $SRV/devices/ram0/sessions/poll/force_close 1
check 'it is closed on the server' wait_for 5 eval "[ \"\$(ls $SRV/devices)/\$(cat /sys/module/brd/refcnt)\" = /0 ]"
is 'I/O fails' "$(read_errno "$dev")" EIO
check 'the state is closed' wait_for 5 grep -qx closed $d/state
check_write 'resize while it is closed' ENOENT $d/resize 1024
check_write 'remap' 0 $d/remap_device 1
file_is 444 open $d/state
check 'I/O works' dd if="/dev/$dev" of=/dev/null bs=4k count=1 iflag=direct
check_write 'unmap with force while it is open' 0 $d/unmap_device force
check 'its node is gone' test ! -e "/dev/$dev"
is 'who has it open can read no more' "$(head -c 512 <&5 2>&1 | wc -c)" 0
exec 5<&-
check 'nothing is left' nothing_left

check 'the same session again and again' again_and_again "$(rounds 10 100)"
check 'the same, where the server has no such disk' refused_again_and_again "$(rounds 10 100)"
check 'nothing is left' nothing_left

# --- another port, and dev_search_path -----------------------------------------

unload_all
mkdir -p /run/devs/{s1,s2}/sub /run/more/s1/disks
ln -s /dev/ram0 /run/devs/s1/sda
ln -s /dev/ram1 /run/devs/s2/sda
ln -s /dev/ram2 /run/devs/s1/sub/sdb
ln -s /dev/ram3 /run/more/s1/disks/sdc
# shellcheck disable=SC2034 # used by load_server
rnbd_server_args='port_nr=1777 dev_search_path=/run/devs/%SESSNAME%'
load_server
load_client
file_is 444 1777 /sys/module/rnbd_server/parameters/port_nr
file_is 644 /run/devs/%SESSNAME% /sys/module/rnbd_server/parameters/dev_search_path
check 'nobody listens on the default port' eval "! map_disk s1 sda $on"
check 'a port after the path' map_disk s1 sda "$on" dest_port=1777
file_is 444 sda "/sys/block/$dev/rnbd/mapping_path"
file_is 444 sda $SRV/devices/ram0/sessions/s1/mapping_path
check 'a port before two paths' map_disk s2 sda dest_port=1777 "$(path 1)" "$(path 2)"
is 'every session has its own folder' "$(ls $SRV/devices | xargs)" 'ram0 ram1'
check 'a device_path that starts with a slash, and has folders' map_disk s1 //sub//sdb
is 'is shown as it was given' "$(disk_attr "$dev" mapping_path)" //sub//sdb
map ENOENT 'sessname=s2 device_path=sub/sdb'
map EINVAL 'sessname=s2 device_path=../s1/sda'
map ENOENT 'sessname=s1 device_path=/dev/ram3'
search=/sys/module/rnbd_server/parameters/dev_search_path
check_write 'it can be changed' 0 $search /run/more/%SESSNAME%/disks/
check 'and text after the name is kept' map_disk s1 sdc
check 'what was opened works on' dd if=/dev/rnbd0 of=/dev/null bs=4k count=1 iflag=direct
map ENOENT 'sessname=s1 device_path=sda2'
check_write 'without the name' 0 $search /dev
check 'all have the same folder' map_disk s2 ram3 access_mode=ro
check_write 'a relative one is refused' EINVAL $search run/devs
file_is 644 /dev $search
check 'all are unmapped' unmap_all
check 'nothing is left' nothing_left

# --- a session name that somebody else has -------------------------------------

. "$(dirname "$0")/peer/peer.sh"
if peer_build > /run/peer.build 2>&1; then
	echo / > $search
	# This test of its own idles in a session "peer-hb" for 13 seconds.
	"$PEER/peer-client" --server 10.9.1.2 --source 10.9.1.1 --port 1777 \
		--slow --only 'heartbeats of the server' > /run/peer.tap 2>&1 &
	other=$!
	check 'another client has a session' wait_for 20 test -d $RTRS_SRV/peer-hb
	check 'all of it' wait_for 20 eval 'log | grep -q "peer-hb .*: path is up"'
	sleep 0.5	# until it has the answer
	kill -STOP $other
	check_map_errno 'its name cannot be had' ECONNRESET \
		"sessname=peer-hb device_path=/dev/ram0 $on dest_port=1777"
	kill -CONT $other
	kill -0 $other && wait $other
	check 'the other client has noticed nothing' eval "grep '^ok' /run/peer.tap && ! grep '^not ok' /run/peer.tap"
	check 'afterwards it can' wait_for 10 map_disk peer-hb /dev/ram0 "$on" dest_port=1777
	check 'and be unmapped' unmap_all
else
	not_ok 'peer-client can be built' "$(tail -n 5 /run/peer.build)"
fi
check 'nothing is left' nothing_left
finish
