#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# npuctl doctor on fake trees: for every class of failure its line, its remedy and its exit code.
. "$(dirname "$0")/lib.sh"
npu=0000:01:00.0
soc=10000000.npu
other=nobody # somebody else's account
[[ $(id -un) != nobody ]] || other=daemon

doctor() # ARGUMENT...
{
	LD_PRELOAD=$PWD/$BIN/tests/tools/fake_vfio.so timeout -k 5 60 "$BIN/npuctl" doctor --sys "$sys" --dev "$dev" \
		--config "$tree/npud.json" "$@" >"$work/log" 2>"$work/errors" </dev/null
	code=$?
}

says() # CODE LINE: the exit code, and a line that matches
{
	((code == $1)) && grep -qE -- "$2" "$work/log" && [[ ! -s $work/errors ]]
}

# The exit code, a failure, and right below it what to do.
finds() # CODE TOPIC TEXT REMEDY
{
	((code == $1)) && grep -A1 -E -- "^fail  $2: .*$3" "$work/log" | grep -qE -- "^      do: .*$4"
}

warns() # CODE TOPIC TEXT
{
	((code == $1)) && grep -qE -- "^warn  $2: .*$3" "$work/log"
}

good_pci()
{
	tree_new
	pci_add "$npu" 7 vfio-pci
	registers 00010000
}

good_platform()
{
	tree_new
	platform_add "$soc" 4 vfio-platform
	registers 00010003
}

# ---------------------------------------------------------------- nothing in the way
good_pci
doctor
check "a working card passes" says 0 '^nothing stands in the way of 1 NPU '
check "it names what it looked at" says 0 "^ok    iommu: $npu: in IOMMU group 7$"
check "it reads the revision" says 0 '^ok    revision: .*00010000: Zhouyi X2 \(V3\)$'
check "the cost of a switch is measured" says 0 'switch: .*stock kernel: a switch costs [0-9.]+ ms/GiB \(no iommufd; measured: 64 MiB mapped and unmapped in'
check "the card decodes memory, and is no bus master" test "$(od -An -tx1 -j $((0x8004)) -N1 "$dev/vfio/device" | tr -d ' ')" = 02
FAKE_VFIO_LOCK=4194304 doctor
check "with little locked memory it measures less" says 0 'measured: 4 MiB'
FAKE_VFIO_LOCK=0 doctor
check "what cannot be measured is not invented" says 0 'not measured: mapping 1 MiB: Cannot allocate memory'
doctor --look-only
check "a device can be left alone" says 0 'not measured: --look-only'
doctor --json
check "JSON has the code" says 0 '^  "code": 0,'
check "JSON has every line" test "$(grep -c '"status"' "$work/log")" -ge 9
mkdir -p "$sys/devices/pci/$npu/vfio-dev/vfio0" "$dev/vfio/devices"
echo 511:0 >"$sys/devices/pci/$npu/vfio-dev/vfio0/dev"
: >"$dev/vfio/devices/vfio0"
: >"$dev/iommu"
doctor
check "iommufd is seen" says 0 '^ok    switch: .*iommufd: .*replaces one page table'
rm "$dev/vfio/vfio"
doctor
check "a kernel without groups has a way, too" warns 0 revision 'not read: .*vfio/vfio: No such file'
good_platform
doctor
check "a working platform device passes" says 0 '^ok    power: .*clocks: none; power domains: none; runtime status: active'
check "its register is read" says 0 '00010003: Zhouyi X2'

# ---------------------------------------------------------------- 10: no device
tree_new
doctor
check "no NPU" finds 10 device 'no PCI device of class 0x1200' 'lspci -d ::1200'
doctor --json
check "no NPU, as JSON" says 10 '"obstacle": "device"'
doctor 0000:09:00.0
check "no device of that name" finds 10 device '0000:09:00.0: there is no' "ls $sys/bus/pci/devices"
doctor ../pci
check "a name does not lead out of the folder" finds 10 device 'there is no' 'ls '
printf '{"devices": [{"name": "a", "transport": "vfio", "address": "0000:03:00.0"}]}' >"$tree/npud.json"
doctor
check "the configuration's device is looked for" finds 10 device '0000:03:00.0: there is no' 'ls '
good_pci
pci_add 0000:02:00.0 8 nvme 0x010802
doctor 02:00.0
check "another device is named on your word" warns 13 device '0000:02:00.0 .*does not look like an NPU'
check "and it alone" test "$(grep -c "$npu" "$work/log")" = 0

# ---------------------------------------------------------------- 11: no IOMMU
no_iommu()
{
	tree_new
	rm -r "$sys/kernel/iommu_groups"
	pci_add "$npu" '' ''
	driver_add pci vfio-pci
}
no_iommu
doctor
check "no IOMMU, no table" finds 11 iommu "$npu: no IOMMU" 'VT-d or AMD-Vi.*intel_iommu=on'
put "$sys/firmware/acpi/tables/DMAR" x
doctor
check "an Intel IOMMU that is off" finds 11 iommu 'no IOMMU' 'add intel_iommu=on'
no_iommu
put "$sys/firmware/acpi/tables/IVRS" x
doctor
check "an AMD IOMMU that is off" finds 11 iommu 'no IOMMU' 'amd_iommu=off'
no_iommu
put "$sys/firmware/acpi/tables/IORT" x
doctor
check "an Arm host with ACPI" finds 11 iommu 'no IOMMU' 'CONFIG_ARM_SMMU_V3'
no_iommu
mkdir -p "$sys/firmware/devicetree/base"
doctor
check "a device tree without IOMMU" finds 11 iommu 'no IOMMU' 'iommus property'
tree_new
pci_add "$npu" '' vfio-pci
doctor
check "a slot that the IOMMU does not cover" finds 11 iommu "$npu: no IOMMU" 'try another one'
tree_new
platform_add "$soc" '' vfio-platform
doctor
check "a node without iommus" finds 11 iommu "$soc: no IOMMU" 'add an iommus property \(and dma-coherent\)'
put "$sys/devices/platform/$soc/of_node/iommus" x
doctor
check "an IOMMU that does not run" finds 11 iommu "$soc: no IOMMU" 'names an IOMMU that does not run'
good_pci
put "$sys/kernel/iommu_groups/7/name" vfio-noiommu
doctor
check "no-IOMMU mode, and why not" finds 11 iommu 'no-IOMMU mode, which npud does not support: .* all memory' 'VT-d'
tree_new
rm -r "$sys/kernel/iommu_groups"
doctor
check "a host without NPU and IOMMU has both told" finds 10 iommu 'no IOMMU is in use' 'VT-d'

# ---------------------------------------------------------------- 12: group
good_pci
pci_add 0000:01:00.1 7 snd_hda_intel 0x040300
pci_add 0000:00:01.0 7 pcieport 0x060400
pci_add 0000:01:00.2 7 '' 0x040300
doctor
check "a neighbour with a driver" finds 12 group 'group 7 also holds 0000:01:00.1 \(snd_hda_intel\), in use' 'npuctl bind --force ADDRESS'
check "a bridge and a neighbour without driver are none" test "$(grep -c '0000:00:01.0\|0000:01:00.2' "$work/log")" = 0
good_pci
FAKE_VFIO_VIABLE=0 doctor
check "the kernel's own word on the group" finds 12 group 'not viable' 'iommu_groups/7/devices'

# ---------------------------------------------------------------- 13: driver
tree_new
pci_add "$npu" 7 ''
driver_add pci vfio-pci
doctor
check "no driver" finds 13 driver "$npu: no driver has it" "npuctl bind $npu"
check "nothing is said of nodes that do not exist yet" warns 13 permission 'appear when it is bound'
put "$sys/devices/pci/$npu/driver_override" vfio-pci
doctor
check "a driver that refused" finds 13 driver 'vfio-pci was told to and refused' 'dmesg'
tree_new
pci_add "$npu" 7 ''
doctor
check "a module that is not loaded" finds 13 driver 'no driver' "modprobe vfio-pci && npuctl bind $npu"
tree_new
platform_add "$soc" 4 armchina
doctor
check "the vendor's driver" finds 13 driver "armchina has it, the vendor's driver" "modprobe vfio-platform && npuctl bind $soc; .*CONFIG_VFIO_PLATFORM"
good_pci
rm "$sys/devices/pci/$npu/driver"
driver_add pci mlx5-vfio-pci
ln -s "$sys/bus/pci/drivers/mlx5-vfio-pci" "$sys/devices/pci/$npu/driver"
doctor
check "a variant of vfio-pci is VFIO" says 0 '^ok    driver: .*mlx5-vfio-pci has it'

# ---------------------------------------------------------------- 14: module parameters
tree_new
platform_add "$soc" 4 ''
driver_add platform vfio-platform
put "$sys/module/vfio_platform/parameters/reset_required" Y
doctor
check "vfio-platform wants a reset function" finds 13 modules 'reset_required is on' 'modprobe vfio-platform reset_required=0'
good_pci
FAKE_VFIO_IOMMU=1 doctor
check "no interrupt remapping, says the kernel" finds 14 modules 'interrupts are not remapped.*VFIO_SET_IOMMU' 'allow_unsafe_interrupts'
put "$sys/firmware/acpi/tables/DMAR" x
put "$sys/kernel/irq/9/chip_name" IO-APIC
doctor
check "a device that the kernel gives out is proof enough" says 0 '^ok    modules: '
doctor --look-only
check "no interrupt remapping, by the chips' names" finds 14 modules 'no IR- chip' 'intremap=off'
put "$sys/kernel/irq/10/chip_name" IR-PCI-MSI-0000:01:00.0
doctor --look-only
check "one remapping chip is enough" says 0 '^ok    modules: '
put "$sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts" Y
doctor
check "unsafe interrupts are warned about" warns 0 modules 'vfio_iommu_type1.allow_unsafe_interrupts is on'
good_pci
put "$sys/module/iommufd/parameters/allow_unsafe_interrupts" Y
doctor
check "iommufd's, too" warns 0 modules 'iommufd.allow_unsafe_interrupts is on'
put "$sys/module/vfio/parameters/enable_unsafe_noiommu_mode" Y
doctor
check "so is no-IOMMU mode" warns 0 modules 'enable_unsafe_noiommu_mode is on'

# ---------------------------------------------------------------- 15: permissions
good_pci
chmod 0600 "$dev/vfio/7"
doctor --user "$other"
check "a group's node" finds 15 permission "vfio/7 cannot be opened by $other: Permission denied" 'chgrp npud .*SUBSYSTEM=="vfio", GROUP="npud"'
chmod 0666 "$dev/vfio/7" "$dev/vfio/vfio"
doctor --user "$other"
check "the other users' bits count" says 0 "vfio/7 can be opened by $other"
if [[ $(id -u) == 0 ]]; then
	chmod 0660 "$dev/vfio/7"
	chgrp "$(id -g "$other")" "$dev/vfio/7"
	doctor --user "$other"
	check "the group's bits count" says 0 "vfio/7 can be opened by $other"
	chmod 0606 "$dev/vfio/7"
	doctor --user "$other"
	check "the first class that fits decides" finds 15 permission 'vfio/7 cannot be opened' chgrp
	chmod 0666 "$dev/vfio/7"
fi
chmod 0600 "$dev/vfio/vfio"
doctor --user "$other"
check "the container" finds 15 permission "vfio/vfio cannot be opened by $other" 'chmod 0660'
rm "$dev/vfio/7"
doctor
check "a node that is missing" finds 15 permission 'vfio/7 cannot be opened by .*No such file' 'devtmpfs'
good_pci
mkdir -p "$sys/devices/pci/$npu/vfio-dev/vfio0" "$dev/vfio/devices"
echo 511:0 >"$sys/devices/pci/$npu/vfio-dev/vfio0/dev"
: >"$dev/vfio/devices/vfio0"
: >"$dev/iommu"
chmod 0666 "$dev/vfio/7" "$dev/vfio/vfio" "$dev/vfio/devices/vfio0"
chmod 0600 "$dev/iommu"
doctor --user "$other"
check "one way is enough, the other is warned about" warns 0 permission "/iommu cannot be opened by $other"
doctor --user no-such-user
check "a user that does not exist" test "$code" = 1

# ---------------------------------------------------------------- 16: locked memory
good_pci
printf '{"capacity": {"buffer_bytes": 134217728}}' >"$tree/npud.json"
drop=()
if [[ $(id -u) == 0 ]]; then drop=(setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock); fi
limited() { # KIB ARGUMENT...
	(
		ulimit -l "$1" || exit 99
		LD_PRELOAD=$PWD/$BIN/tests/tools/fake_vfio.so exec "${drop[@]}" "$BIN/npuctl" doctor --sys "$sys" --dev "$dev" \
			--config "$tree/npud.json" "${@:2}"
	) >"$work/log" 2>"$work/errors" </dev/null
	code=$?
}
limited 64
check "locked memory: how much, and what to set" finds 16 memory 'needs up to 128 MiB; RLIMIT_MEMLOCK is 64 KiB' 'LimitMEMLOCK='
chmod 0666 "$dev/vfio/7" "$dev/vfio/vfio"
limited 64 --user "$other"
check "of another user's service this limit says nothing" warns 0 memory 'needs up to 128 MiB'
printf '{"capacity": {"buffer_bytes": 65536}}' >"$tree/npud.json"
limited 64
check "a capacity that fits" says 0 '^ok    memory: '

# ---------------------------------------------------------------- 17: clocks and power
good_platform
node=$sys/devices/platform/$soc
printf 'core\0bus\0' >"$node/of_node/clock-names"
put "$node/of_node/clocks" xxxxxxx
doctor
check "clocks that nobody switches on" finds 17 power 'switches no clock on.*clocks: core, bus' "npuctl doctor --powered $soc"
check "then no register is read" warns 17 revision 'not read: a read without clock or power could stop the machine'
doctor --powered
check "on your word it is" says 0 'Zhouyi X2'
FAKE_VFIO_BUSY=1 doctor
check "a device in use has what it needs" says 0 '^ok    power: .*clocks: core, bus; .*; in use'
good_platform
node=$sys/devices/platform/$soc
printf 'pd_core0\0pd_core1\0' >"$node/of_node/power-domain-names"
put "$node/of_node/power-domains" xxxxxxxxxxxxxxx
doctor
check "several power domains" finds 17 power 'several power domains.*pd_core0, pd_core1' 'pd_ignore_unused'
good_platform
node=$sys/devices/platform/$soc
put "$node/of_node/power-domains" xxx
doctor
check "one power domain, on while open" says 0 '^ok    power: .*power domains: unnamed; runtime status: active'
put "$node/power/runtime_status" suspended
doctor
check "one power domain that stays off" finds 17 power 'stays off while it is open' 'keep them on'
put "$node/power/runtime_status" error
doctor
check "runtime power management in trouble" finds 17 power 'reports an error' 'keep them on'
tree_new
platform_add CIXH4000:00 4 vfio-platform
rm -r "$sys/devices/platform/CIXH4000:00/of_node"
put "$sys/devices/platform/CIXH4000:00/firmware_node/hid" CIXH4000
put "$sys/devices/platform/CIXH4000:00/firmware_node/power_state" D3cold
put "$sys/devices/platform/CIXH4000:00/power/runtime_status" suspended
registers 00010000
doctor
check "an ACPI device that is off" finds 17 power 'ACPI power state is not D0.*D3cold' 'keep them on'

good_platform
printf 'armchina,zhouyi\033[31m\377\0' >"$sys/devices/platform/$soc/of_node/compatible"
doctor --json
check "what firmware calls itself does not reach the terminal raw" says 0 'compatible armchina,zhouyi\?\[31m\?'

# ---------------------------------------------------------------- 18: revision
good_pci
registers ffffffff
doctor
check "all ones" finds 18 revision 'ffffffff: no clock or no power' 'power the card off and on'
registers 00000000
doctor
check "zero" finds 18 revision '00000000: no clock or no power; or a Z1' 'power the card off'
registers 00010210
doctor
check "an NPU of another generation" finds 18 revision '00010210: X3P, which this version of npud does not drive' 'npuctl unbind'
registers deadbeef
doctor
check "something else" finds 18 revision 'deadbeef: not a known Zhouyi NPU' 'right device'
registers 00010000
FAKE_VFIO_DEVICE=11 doctor
check "a device that cannot be opened" finds 18 revision 'cannot be opened: VFIO_GROUP_GET_DEVICE_FD: Resource temporarily' dmesg
FAKE_VFIO_BUSY=1 doctor
check "somebody has it" warns 0 revision 'not read: another process has the device; .*npuctl info'
hold "$dev/vfio/7"
FAKE_VFIO_BUSY=1 doctor
check "and is named" warns 0 revision "not read: sleep \(process $holder\) has the device"
release

# The tables of the daemon and of doctor say the same.
table() { sed -n '/products\[\] = {/,/};/p' "$1" | tr -d ' \t\n'; }
check "doctor's table of products was read" test -n "$(table tools/doctor_revision.c)"
check "doctor knows the products that npud knows" test "$(table tools/doctor_revision.c)" = "$(table daemon/npu/detect.c)"

# ---------------------------------------------------------------- mistakes
doctor --dance
check "an unknown option is wrong usage" test "$code" = 2
doctor one two
check "two addresses are wrong usage" test "$code" = 2
doctor --config "$tree/none.json"
check "a configuration that cannot be read" test "$code" = 1 -a "$(wc -l <"$work/errors")" = 1
doctor --help
check "it explains itself and its codes" says 0 '16 locked memory'
finish
