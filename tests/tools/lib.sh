# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Fake /sys and /dev trees for npuctl's local commands, a fake kernel that reacts to what is written there, and counting.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BIN=${BIN:-build/release-gcc}
work=$(mktemp -d)
passed=0 failed=0 code=0 kernel='' holder=''
finish_work()
{
	kernel_stop
	[[ -z $holder ]] || release
	rm -rf "$work"
}
trap finish_work EXIT
trap 'exit 130' INT TERM

check() # TEXT COMMAND...
{
	local text=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $text (exit code $code)"
		sed 's/^/    /' "$work/log" "$work/errors"
	fi
}

finish()
{
	echo "$passed passed, $failed failed, 0 skipped"
	((failed == 0))
}

# ---------------------------------------------------------------- trees
put() # FILE TEXT...: as sysfs shows it
{
	mkdir -p "$(dirname "$1")"
	printf '%s\n' "${*:2}" >"$1"
}

# An empty host with an IOMMU that has one group of somebody else's.
tree_new()
{
	tree=$(mktemp -d "$work/tree.XXXX")
	sys=$tree/sys dev=$tree/dev state=$tree/state
	mkdir -p "$sys"/bus/{pci,platform}/{devices,drivers} "$sys/kernel/iommu_groups/0/devices" "$dev/vfio"
	: >"$sys/bus/pci/drivers_probe"
	: >"$sys/bus/platform/drivers_probe"
	: >"$dev/vfio/vfio"
	printf '{"capacity": {"buffer_bytes": 65536}}' >"$tree/npud.json"
}

driver_add() # BUS NAME...
{
	local name
	for name in "${@:2}"; do
		mkdir -p "$sys/bus/$1/drivers/$name"
		: >"$sys/bus/$1/drivers/$name/bind"
		: >"$sys/bus/$1/drivers/$name/unbind"
	done
}

device_add() # BUS NAME GROUP DRIVER: an empty GROUP or DRIVER means none
{
	local folder=$sys/devices/$1/$2
	mkdir -p "$folder"
	put "$folder/driver_override" '(null)'
	ln -s "$folder" "$sys/bus/$1/devices/$2"
	if [[ -n $3 ]]; then
		mkdir -p "$sys/kernel/iommu_groups/$3/devices"
		ln -s "$sys/kernel/iommu_groups/$3" "$folder/iommu_group"
		ln -s "$folder" "$sys/kernel/iommu_groups/$3/devices/$2"
	fi
	if [[ -n $4 ]]; then
		driver_add "$1" "$4"
		ln -s "$sys/bus/$1/drivers/$4" "$folder/driver"
		[[ $4 != vfio-* || -z $3 ]] || : >"$dev/vfio/$3"
	fi
}

pci_add() # ADDRESS GROUP DRIVER [CLASS]
{
	device_add pci "$1" "$2" "$3"
	put "$sys/devices/pci/$1/class" "${4:-0x120000}"
	put "$sys/devices/pci/$1/vendor" 0x1f0a
	put "$sys/devices/pci/$1/device" 0x0001
	put "$sys/devices/pci/$1/power_state" D0
}

platform_add() # NAME GROUP DRIVER
{
	device_add platform "$@"
	mkdir -p "$sys/devices/platform/$1/of_node"
	printf 'vendor,soc-npu\0armchina,zhouyi-v3\0' >"$sys/devices/platform/$1/of_node/compatible"
	put "$sys/devices/platform/$1/power/runtime_status" active
}

# The device that VFIO's ioctls show: little-endian REVISION, eight digits.
registers() # REVISION
{
	truncate -s $((0x9000)) "$dev/vfio/device"
	printf "\\x${1:6:2}\\x${1:4:2}\\x${1:2:2}\\x${1:0:2}" |
		dd of="$dev/vfio/device" bs=1 seek=$((0x50)) conv=notrunc status=none
}

hold() # FILE: a process has it open until release; its id is in $holder
{
	sleep 600 9<>"$1" &
	holder=$!
	until [[ $(<"/proc/$holder/comm") == sleep ]]; do sleep 0.02; done
}

release()
{
	kill "$holder"
	wait "$holder" 2>/dev/null
	holder=
}

# ---------------------------------------------------------------- the fake kernel
# Polls what npuctl writes. A device's own driver is named in its .native; a driver with .refuse takes no device, one with
# .sticky lets none go, one with .nodeless makes no node in /dev.
kernel_attach() # BUS NAME
{
	local folder=$sys/devices/$1/$2 want driver=
	[[ -d $folder && ! -e $folder/driver ]] || return 0
	want=$(<"$folder/driver_override")
	if [[ -n $want && $want != '(null)' ]]; then driver=$want; elif [[ -e $folder/.native ]]; then driver=$(<"$folder/.native"); fi
	[[ -n $driver ]] && kernel_take "$1" "$2" "$driver"
	return 0
}

kernel_take() # BUS NAME DRIVER
{
	local drivers=$sys/bus/$1/drivers folder=$sys/devices/$1/$2
	[[ -d $drivers/$3 && ! -e $drivers/$3/.refuse && ! -e $folder/driver ]] || return 0
	if [[ $3 == vfio-* && ! -e $drivers/$3/.nodeless ]]; then : >"$dev/vfio/$(basename "$(readlink "$folder/iommu_group")")"; fi
	ln -s "$drivers/$3" "$folder/driver"
}

kernel_step()
{
	local bus file name driver
	for bus in pci platform; do
		for file in "$sys/bus/$bus/drivers"/*/unbind; do
			[[ -s $file ]] || continue
			name=$(<"$file")
			: >"$file"
			driver=${file%/unbind}
			[[ ! -e $driver/.sticky ]] || continue
			rm -f "$sys/devices/$bus/$name/driver"
			[[ ${driver##*/} != vfio-* ]] || rm -f "$dev/vfio/$(basename "$(readlink "$sys/devices/$bus/$name/iommu_group")")"
		done
		for file in "$sys/bus/$bus/drivers"/*/bind; do
			[[ -s $file ]] || continue
			name=$(<"$file")
			: >"$file"
			driver=${file%/bind}
			kernel_take "$bus" "$name" "${driver##*/}"
		done
		file=$sys/bus/$bus/drivers_probe
		[[ -s $file ]] || continue
		name=$(<"$file")
		: >"$file"
		kernel_attach "$bus" "$name"
	done
}

kernel_start()
{
	kernel_stop
	mkfifo "$tree/never"
	(
		trap - EXIT
		exec 9<>"$tree/never"
		while [[ -d $tree ]]; do
			kernel_step 2>/dev/null
			if [[ -e $tree/settle ]]; then
				kernel_step 2>/dev/null
				rm "$tree/settle"
			fi
			read -rt 0.02 -u 9
		done
	) &
	kernel=$!
}

# The real kernel has done everything when a write returns; this one when it has looked once more.
kernel_settle()
{
	[[ -n $kernel ]] || return 0
	: >"$tree/settle"
	while [[ -e $tree/settle ]]; do sleep 0.01; done
}

kernel_stop()
{
	[[ -n $kernel ]] || return 0
	kill "$kernel" 2>/dev/null
	wait "$kernel" 2>/dev/null
	kernel=''
}

driver_of() # BUS NAME
{
	basename "$(readlink "$sys/devices/$1/$2/driver")" 2>/dev/null
}
