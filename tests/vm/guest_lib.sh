# SPDX-License-Identifier: Apache-2.0
# guest_lib.sh: sourced inside a guest by init and before each test's command (busybox sh).
#   npu_addresses            the NPUs: PCI addresses, or names of platform devices
#   npu_bind, npu_unbind     gives them to VFIO, takes them back
#   npud_start [OPTIONS]     starts npud with /tmp/npud.json (or one that names all NPUs) and waits until it listens
#   npud_stop                stops it; fails if it did not end well
#   ask_host COMMAND         asks the host for something; see tests/vm/guest.sh
export PATH=/bin:/sbin:/npu LD_LIBRARY_PATH=/npu HOME=/ NPU_SOCKET=${NPU_SOCKET:-/run/npud.sock}

npu_addresses() {
	for dev in /sys/bus/pci/devices/*; do
		[ -e "$dev/class" ] || continue
		case $(cat "$dev/class") in
		0x1200*) basename "$dev" ;;
		esac
	done
	for dev in /sys/bus/platform/devices/*.npu; do
		[ -e "$dev" ] && basename "$dev"
	done
}

npu_unplugged() {
	[ -z "$(npu_addresses)" ]
}

npu_path() { # ADDRESS
	case $1 in
	*.npu) echo "/sys/bus/platform/devices/$1" ;;
	*) echo "/sys/bus/pci/devices/$1" ;;
	esac
}

npu_bus() { # ADDRESS
	case $1 in
	*.npu) echo platform ;;
	*) echo pci ;;
	esac
}

npu_driver() { # ADDRESS
	basename "$(readlink "$(npu_path "$1")/driver" 2>/dev/null || echo none)"
}

# What firmware does on a machine that has it: the device tree says where the registers are, the PCI function behind them
# still has to be told. slot 5 of the root bus; base address, then memory and bus master.
npu_firmware() {
	[ "$(npu_bus "$1")" = platform ] || return 0
	devmem 0x3f028010 32 0x10000000
	devmem 0x3f028004 16 0x6
}

npu_bind() {
	for address in $(npu_addresses); do
		npu_firmware "$address"
		echo "vfio-$(npu_bus "$address")" >"$(npu_path "$address")/driver_override"
		echo "$address" >"/sys/bus/$(npu_bus "$address")/drivers_probe"
		[ "$(npu_driver "$address")" = "vfio-$(npu_bus "$address")" ] || echo "@@ info NPU $address cannot be bound"
	done
}

npu_unbind() {
	for address in $(npu_addresses); do
		echo "$address" >"$(npu_path "$address")/driver/unbind"
		echo "" >"$(npu_path "$address")/driver_override"
	done
}

ask_host() {
	echo
	echo "@@ host $*"
}

wait_for() { # TENTHS COMMAND...: until the command succeeds
	tenths=$1
	shift
	while [ "$tenths" -gt 0 ]; do
		"$@" 2>/dev/null && return 0
		usleep 100000
		tenths=$((tenths - 1))
	done
	return 1
}

npud_listens() {
	grep -q " 00010000 .* $NPU_SOCKET\$" /proc/net/unix
}

npud_config() { # [MORE]: a configuration for all NPUs of this guest; MORE is inserted into every device
	n=0
	devices=
	for address in $(npu_addresses); do
		devices="$devices${devices:+, }{\"name\": \"npu$n\", \"transport\": \"vfio\", \"address\": \"$address\"$1}"
		n=$((n + 1))
	done
	printf '{"socket": {"path": "%s"}, "log": {"level": "info"}, "devices": [%s]}\n' "$NPU_SOCKET" "$devices"
}

# Each test is a shell of its own: how npud ended is left in a file.
npud_run() {
	npud --config /tmp/npud.json "$@" >/tmp/npud.log 2>&1 &
	echo $! >/tmp/npud.pid
	wait $!
	echo $? >/tmp/npud.code
}

npud_start() {
	[ -f /tmp/npud.json ] || npud_config >/tmp/npud.json
	rm -f /tmp/npud.code
	npud_run "$@" &
	if ! wait_for 300 npud_listens; then
		echo "npud does not listen:"
		cat /tmp/npud.log
		return 1
	fi
}

npud_stop() {
	kill -TERM "$(cat /tmp/npud.pid)"
	wait_for 100 test -f /tmp/npud.code || {
		echo "npud does not end:"
		cat /tmp/npud.log
		kill -KILL "$(cat /tmp/npud.pid)"
		return 1
	}
	code=$(cat /tmp/npud.code)
	[ "$code" = 0 ] || {
		echo "npud ended with exit code $code:"
		cat /tmp/npud.log
	}
	return "$code"
}
