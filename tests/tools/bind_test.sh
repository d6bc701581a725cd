#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# npuctl bind and unbind on fake trees, with a fake kernel behind them: there and back again, what is refused, and that a
# failure leaves everything as it was.
. "$(dirname "$0")/lib.sh"
npu=0000:01:00.0
soc=10000000.npu

npuctl() # COMMAND ARGUMENT...
{
	timeout -k 5 60 "$BIN/npuctl" "$1" --sys "$sys" --dev "$dev" --state "$state" "${@:2}" >"$work/log" \
		2>"$work/errors" </dev/null
	code=$?
	kernel_settle
}

says() # PATTERN: done
{
	((code == 0)) && grep -q -- "$1" "$work/log" && [[ ! -s $work/errors ]]
}

# One line on standard error, nothing on standard output.
refuses() # CODE PATTERN
{
	((code == $1)) && [[ $(wc -l <"$work/errors") == 1 ]] && grep -qE -- "$2" "$work/errors" && [[ ! -s $work/log ]]
}

override_of() { cat "$sys/devices/$1/$2/driver_override"; }

# Driver, override and memory are as given; the node is there exactly when VFIO has the device.
stands() # BUS NAME DRIVER OVERRIDE yes|no
{
	local group have=no remembered=no
	group=$(basename "$(readlink "$sys/devices/$1/$2/iommu_group")")
	[[ -e $dev/vfio/$group ]] && have=yes
	[[ -e $state/$2 ]] && remembered=yes
	[[ $(driver_of "$1" "$2") == "$3" && $(override_of "$1" "$2") == "$4" && $remembered == "$5" ]] &&
		[[ $have == "$([[ $3 == vfio-* ]] && echo yes || echo no)" ]]
}

pci_host() # [DRIVER]
{
	tree_new
	pci_add "$npu" 7 "${1-aipu}"
	[[ -z ${1-aipu} ]] || echo "${1-aipu}" >"$sys/devices/pci/$npu/.native"
	driver_add pci vfio-pci
	kernel_start
}

platform_host()
{
	tree_new
	platform_add "$soc" 4 armchina
	echo armchina >"$sys/devices/platform/$soc/.native"
	driver_add platform vfio-platform
	kernel_start
}

# ---------------------------------------------------------------- there and back
pci_host
npuctl bind "$npu"
check "a card goes to vfio-pci" says "$npu: vfio-pci has it now, aipu had it before; IOMMU group 7"
check "by override, and remembered" stands pci "$npu" vfio-pci vfio-pci yes
check "the state says what there was" grep -qx 'driver=aipu' "$state/$npu"
npuctl bind 01:00.0
check "the second time there is nothing to do" says "$npu: vfio-pci has it already"
check "and nothing is done" stands pci "$npu" vfio-pci vfio-pci yes
check "what there was is not forgotten by it" grep -qx 'driver=aipu' "$state/$npu"
npuctl unbind "$npu"
check "it goes back to its driver" says "$npu: aipu has it again"
check "override cleared, memory gone" stands pci "$npu" aipu '' no
npuctl unbind "$npu"
check "the second time there is nothing to undo" says "$npu: VFIO does not have it; aipu does"

pci_host ''
npuctl bind "$npu"
check "a card without driver goes, too" says 'no driver had it before'
npuctl unbind "$npu"
check "and has none again" says "$npu: no driver has it now"
check "nothing is left over" stands pci "$npu" '' '' no

platform_host
npuctl bind "$soc"
check "a platform device goes to vfio-platform" says "$soc: vfio-platform has it now, armchina had it before; IOMMU group 4"
check "by override" stands platform "$soc" vfio-platform vfio-platform yes
npuctl unbind "$soc"
check "and back" says "$soc: armchina has it again"
check "as it was" stands platform "$soc" armchina '' no

# A driver that was bound by hand, and an override that somebody had set.
pci_host
rm "$sys/devices/pci/$npu/.native"
npuctl bind "$npu"
npuctl unbind "$npu"
check "a driver that matching does not find is bound by name" says "$npu: aipu has it again"
echo pci-stub >"$sys/devices/pci/$npu/driver_override"
npuctl bind "$npu"
check "an override is remembered" grep -qx 'override=pci-stub' "$state/$npu"
npuctl unbind "$npu"
check "and comes back" stands pci "$npu" aipu pci-stub no

# Without a memory, the kernel's own matching decides.
pci_host
npuctl bind "$npu"
rm -r "$state"
npuctl unbind "$npu"
check "without memory the matching driver gets it" says "$npu: aipu has it again"
npuctl bind "$npu"
printf 'driver=../../../evil\noverride=\n' >"$state/$npu"
npuctl unbind "$npu"
check "a memory that leads elsewhere is not followed" says "$npu: aipu has it again"
npuctl bind "$npu"
rm -r "$sys/bus/pci/drivers/aipu"
npuctl unbind "$npu"
check "a driver that is gone is named" says "no driver has it now; aipu, which had it, is not loaded"
echo vfio-pci >"$sys/devices/pci/$npu/driver_override"
npuctl unbind "$npu"
check "an override that was left over is cleared" stands pci "$npu" '' '' no

# ---------------------------------------------------------------- refused, nothing touched
pci_host
npuctl bind 0000:09:00.0
check "a device that is not there" refuses 10 '0000:09:00.0: there is no .*do: npuctl doctor'
npuctl bind ../../pci
check "a name does not lead out of the folder" refuses 10 'there is no'
pci_add 0000:02:00.0 8 nvme 0x010802
npuctl bind 0000:02:00.0
check "a device that is no NPU" refuses 10 'class 0x010802.* does not look like an NPU; do: --force'
npuctl bind --force 0000:02:00.0
check "unless it is wanted" says '0000:02:00.0: vfio-pci has it now, nvme had it before'
pci_add 0000:01:00.1 7 snd_hda_intel 0x040300
npuctl bind "$npu"
check "a group with a foreign device" refuses 12 'group 7 also holds 0000:01:00.1 \(snd_hda_intel\).*do: npuctl bind --force'
npuctl bind --force 0000:01:00.1
check "which is told what is left" says "group 7, where the kernel still uses $npu (aipu)"
npuctl bind "$npu"
check "which goes first" says "$npu: vfio-pci has it now"
pci_host
rm -r "$sys/bus/pci/drivers/vfio-pci"
npuctl bind "$npu"
check "a module that is not loaded" refuses 13 'no driver vfio-pci; do: modprobe vfio-pci'
platform_host
rm -r "$sys/bus/platform/drivers/vfio-platform"
npuctl bind "$soc"
check "the platform's, too" refuses 13 'do: modprobe vfio-platform reset_required=0'
pci_host
rm "$sys/devices/pci/$npu/iommu_group"
npuctl bind "$npu"
check "no IOMMU" refuses 11 'no IOMMU .*do: npuctl doctor'
check "nothing was changed by any of it" test "$(driver_of pci "$npu") $(override_of pci "$npu") $(ls -A "$state" 2>/dev/null)" = "aipu (null) "

pci_host
: >"$dev/aipu"
hold "$dev/aipu"
npuctl bind "$npu"
check "a program that uses the vendor's driver is named" refuses 19 "sleep \(process $holder\) has .*/aipu open; do: stop it"
release
npuctl bind "$npu"
hold "$dev/vfio/7"
npuctl unbind "$npu"
check "npud has it open" refuses 19 "sleep \(process $holder\) has .*vfio/7 open; do: .*systemctl stop npud"
check "and keeps it" stands pci "$npu" vfio-pci vfio-pci yes
release
export LD_PRELOAD=$PWD/$BIN/tests/tools/fake_vfio.so FAKE_VFIO_BUSY=1
npuctl unbind "$npu"
unset LD_PRELOAD FAKE_VFIO_BUSY
check "the kernel's word is enough" refuses 19 'another process has .*vfio/7 open'

# ---------------------------------------------------------------- failures on the way, undone
pci_host
: >"$sys/bus/pci/drivers/vfio-pci/.refuse"
npuctl bind "$npu"
check "vfio-pci refuses" refuses 1 'vfio-pci did not take the device; do: dmesg .*everything is as it was: aipu has the device'
check "the old driver has it again" stands pci "$npu" aipu '' no
platform_host
: >"$sys/bus/platform/drivers/vfio-platform/.refuse"
npuctl bind "$soc"
check "vfio-platform refuses" refuses 1 'reset_required=0; everything is as it was: armchina has the device'
check "the old driver has that, too" stands platform "$soc" armchina '' no
pci_host
: >"$sys/bus/pci/drivers/vfio-pci/.nodeless"
npuctl bind "$npu"
check "no node appears" refuses 1 'vfio/7 does not appear; do: .*devtmpfs.*as it was: aipu'
check "which is undone" stands pci "$npu" aipu '' no
pci_host
: >"$sys/bus/pci/drivers/aipu/.sticky"
npuctl bind "$npu"
check "the old driver does not let go" refuses 1 'aipu does not let go of the device; everything is as it was'
check "it keeps the device" stands pci "$npu" aipu '' no
pci_host
mv "$sys/bus/pci/drivers/aipu/unbind" "$sys/bus/pci/drivers/aipu/gone"
npuctl bind "$npu"
check "the place of a failed write is named" refuses 1 "writing '$npu' to $sys/bus/pci/drivers/aipu/unbind: No such file.*as it was"
check "the override is taken back" stands pci "$npu" aipu '' no
pci_host
rm "$sys/devices/pci/$npu/driver_override"
npuctl bind "$npu"
check "the first write fails" refuses 1 'driver_override: No such file or directory; everything is as it was'
pci_host
rm "$sys/bus/pci/drivers_probe"
npuctl bind "$npu"
check "the way back can fail, too" refuses 1 'drivers_probe: No such file.*and the way back failed: .*do: npuctl unbind'
check "then the memory stays" test -e "$state/$npu"
: >"$sys/bus/pci/drivers_probe"
npuctl unbind "$npu"
check "there was no device to give back" says "VFIO does not have it"
pci_host
put "$state" 'a file'
npuctl bind "$npu"
check "without a memory nothing begins" refuses 1 "state is not a folder of this user; do: .*; nothing was changed"
check "indeed" test "$(driver_of pci "$npu") $(override_of pci "$npu")" = "aipu (null)"

pci_host
npuctl bind "$npu"
: >"$sys/bus/pci/drivers/vfio-pci/.sticky"
npuctl unbind "$npu"
check "vfio-pci does not let go" refuses 1 'vfio-pci does not let go'
check "nothing is lost" stands pci "$npu" vfio-pci vfio-pci yes
rm "$sys/bus/pci/drivers/vfio-pci/.sticky"
: >"$sys/bus/pci/drivers/aipu/.refuse"
npuctl unbind "$npu"
check "the old driver does not want it" refuses 1 'aipu does not take the device; do: dmesg'
pci_host
npuctl bind "$npu"
rm -r "$state"
echo vfio-pci >"$sys/devices/pci/$npu/.native"
npuctl unbind "$npu"
check "VFIO's own list of ids takes it again" refuses 1 'vfio-pci takes the device again.*vfio-pci.ids='

# ---------------------------------------------------------------- mistakes
npuctl bind
check "an address is needed" test "$code" = 2
npuctl unbind --dance "$npu"
check "an unknown option is wrong usage" test "$code" = 2
npuctl bind --help
check "bind explains itself" says '--force'
npuctl unbind --help
check "unbind does" says '19 in use'
finish
