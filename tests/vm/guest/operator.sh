#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# operator.sh [no-iommu]: what an operator sees and does on a host with the kernel's VFIO: doctor, bind, unbind, and each
# way in which npud refuses to start. Runs inside a guest; after every refusal the device is as it was.
. /guest.sh
passed=0 failed=0
address=$(npu_addresses | head -n 1)

verdict() { # NAME GOOD
	if [ "$2" = 1 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $1"
		sed 's/^/| /' /tmp/out | tail -n 25
	fi
}

expect() { # NAME CODE TEXT COMMAND...: the exit code, and a text that its output has
	name=$1 code=$2 text=$3
	shift 3
	"$@" >/tmp/out 2>&1
	got=$?
	good=1
	[ "$got" = "$code" ] || {
		echo "exit code $got, not $code" >>/tmp/out
		good=0
	}
	[ -z "$text" ] || grep -q -e "$text" /tmp/out || {
		echo "there is no '$text' in it" >>/tmp/out
		good=0
	}
	verdict "$name" "$good"
}

npud_with() { # ADDRESS [SOCKET]: what npud says to a configuration with this device; ends with its exit code
	printf '{"socket": {"path": "%s"}, "devices": [{"name": "npu0", "transport": "vfio", "address": "%s"}]}\n' \
		"${2:-/tmp/other.sock}" "$1" >/tmp/other.json
	npud --config /tmp/other.json
}

closing_line() {
	echo "$passed passed, $failed failed, 0 skipped"
	[ "$failed" = 0 ]
	exit
}

if [ "${1-}" = no-iommu ]; then
	expect "doctor names the missing IOMMU" 11 "intel_iommu=on" npuctl doctor
	expect "npud does not run without an IOMMU, and says why" 6 "not supported: no IOMMU isolates it" npud_with "$address"
	closing_line
fi

# ---------------------------------------------------------------- doctor, bind, unbind
npu_bind
if [ -e /dev/iommu ]; then
	expect "doctor finds nothing in the way, and iommufd" 0 "iommufd" npuctl doctor
else
	expect "doctor finds nothing in the way, and measures a switch" 0 \
		"stock kernel: a switch costs [0-9.]* ms/GiB" npuctl doctor
fi
expect "unbind takes the device from VFIO" 0 "$address" npuctl unbind "$address"
[ "$(npu_driver "$address")" != "vfio-$(npu_bus "$address")" ] && good=1 || good=0
verdict "it is not bound any more" $good
expect "doctor names the driver and the remedy" 13 "npuctl bind" npuctl doctor
expect "npud does not run on a device without VFIO" 6 "npuctl bind" npud_with "$address"
expect "bind gives it to VFIO" 0 "$address" npuctl bind "$address"
[ "$(npu_driver "$address")" = "vfio-$(npu_bus "$address")" ] && good=1 || good=0
verdict "it is bound" $good
expect "bind again is nothing to do" 0 "$address" npuctl bind "$address"
expect "bind of what is not there" 10 "0000:99:00.0" npuctl bind 0000:99:00.0

# ---------------------------------------------------------------- how npud refuses
expect "npud names a device that is not there" 6 "0000:99:00.0" npud_with 0000:99:00.0
if [ -e /sys/bus/pci/devices/0000:00:01.0/driver ]; then
	expect "npud names the driver that has a device" 6 "pcieport" npud_with 0000:00:01.0
fi
rm -f /tmp/npud.json
npud_start >/tmp/out 2>&1 && good=1 || good=0
verdict "npud runs" $good
expect "a second npud on the device loses" 5 "device.taken" npud_with "$address"
expect "unbind does not take a device that is in use" 19 "npud" npuctl unbind "$address"
expect "doctor does not disturb it" 0 "$address" npuctl doctor
expect "and it still works" 0 "ready" npuctl info
expect "npud stops" 0 "" npud_stop

# ---------------------------------------------------------------- a user with few rights
echo "npud:x:99:99::/:/bin/sh" >>/etc/passwd
mkdir /tmp/npud-user
chown 99 /tmp/npud-user
NPU_SOCKET=/tmp/npud-user/npud.sock npud_config >/tmp/npud-user/npud.json
as_npud() { # COMMANDS
	su -s /bin/sh npud -c ". /guest.sh; $1"
}
expect "npud names the node that it may not open" 6 "Permission denied" as_npud "npud --config /tmp/npud-user/npud.json"
expect "doctor says the same" 15 "chgrp" npuctl doctor --look-only --user npud
find /dev/vfio /dev/iommu -type c 2>/dev/null | while read -r node; do chown 99 "$node"; done
expect "npud says how much memory it has to lock" 6 "LimitMEMLOCK=" \
	as_npud "ulimit -l 64; npud --config /tmp/npud-user/npud.json"
npud_is_absent() {
	! pidof npud >/dev/null
}

small() {
	as_npud "ulimit -l 4096; exec npud --config /tmp/npud-user/npud.json" >/tmp/small.log 2>&1 &
	export NPU_SOCKET=/tmp/npud-user/npud.sock
	wait_for 50 npud_listens || return 1
	npuctl run /models/blazeface.elf --input random:7
	code=$?
	kill -TERM "$(pidof npud)"
	wait_for 100 npud_is_absent
	cat /tmp/small.log
	export NPU_SOCKET=/run/npud.sock
	return $code
}
expect "a job that cannot be locked in memory says so" 1 "LimitMEMLOCK=" small
grep -q "device.memory_limit.*needs [0-9]* bytes .* has 4194304" /tmp/out && good=1 || good=0
verdict "and it was said at the start" $good
find /dev/vfio /dev/iommu -type c 2>/dev/null | while read -r node; do chown 0 "$node"; done

# ---------------------------------------------------------------- nothing of all this is left
npud_start >/tmp/out 2>&1 && good=1 || good=0
verdict "npud runs as before" $good
expect "a model runs as before" 0 "" npuctl run /models/sigmoid.elf --input random:7
expect "npud stops as before" 0 "" npud_stop
closing_line
