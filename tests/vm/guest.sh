#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/vm/guest.sh GUEST [options]: starts a guest with a software NPU as its hardware, runs tests in it and closes with
# "N passed, N failed, N skipped".
#
#   stock       x86-64, Debian's cloud kernel: VT-d, VFIO groups with type1
#   x86         x86-64, our kernel: VT-d, iommufd as well as type1
#   x86-virtio  x86-64, our kernel: virtio-iommu
#   arm64       arm64, our kernel: the NPU is a platform device of the device tree, virtio-iommu
#
#   --memory plain|memfd  plain (default): the NPU reaches guest memory by messages, and QEMU refuses what the IOMMU does
#                         not map; memfd: guest memory is shared with the NPU, which is fast, and npu-emu does the refusing
#   --no-iommu            the control: a machine without an IOMMU (x86 only)
#   --npus N              how many NPUs (default 1; arm64: 1)
#   --emu OPTION          one more option for npu-emu
#   --ram MIB             guest memory (default 512)
#   --timeout SECONDS     for all tests together (default 120)
#   --log FILE            keeps what came over the serial line
#   --program, --put, --test   as for initramfs.sh: programs, files and NAME=COMMAND for the guest. A command that prints
#                         a closing line counts as that; any other counts as one test, which passes with exit code 0
#
# A guest can ask its host for "monitor COMMAND" (QEMU's) and "kill-emu N".
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
top=$(readlink -f "$here/../..")

(($#)) || {
	sed -n '3,25s/^# \{0,1\}//p' "$0"
	exit 2
}
guest=$1
shift
memory=plain iommu=1 npus=1 ram=512 timeout=120 log=
emu_options=() tree_options=()
while (($#)); do
	case $1 in
	--memory) memory=$2 ;;
	--npus) npus=$2 ;;
	--emu) emu_options+=("$2") ;;
	--ram) ram=$2 ;;
	--timeout) timeout=$2 ;;
	--log) log=$2 ;;
	--program | --put | --test) tree_options+=("$1" "$2") ;;
	--no-iommu)
		iommu=0
		shift
		continue
		;;
	*)
		echo "guest: unknown option '$1'" >&2
		exit 2
		;;
	esac
	shift 2
done

run=$(mktemp -d "${TMPDIR:-/tmp}/npud-vm.XXXXXX")
emu_pids=() qemu_pid=
log=${log:-$run/serial.log}

# A QEMU whose guest waits for something that never comes does not listen to SIGTERM.
finish() {
	local pid i
	for pid in $qemu_pid "${emu_pids[@]}"; do
		kill "$pid" 2>/dev/null || true
	done
	for pid in $qemu_pid "${emu_pids[@]}"; do
		for ((i = 0; i < 20; i++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$run"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

broken() { # MESSAGE: nothing could be tested
	local file
	printf 'guest %s: %s\n' "$guest" "$1"
	for file in "$run"/*.log; do
		[[ -s $file && $file != "$log" ]] && sed "s|^|${file##*/}: |" "$file" | tail -n 20
	done
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

# ---------------------------------------------------------------- what the guest is made of
arch=x86_64
modules=()
case $guest in
stock)
	stock=$("$here/kernels.sh" stock 2>"$run/kernels.log") || broken "no kernel"
	kernel=$stock/vmlinuz
	modules=(--modules "$stock/modules")
	;;
x86 | x86-virtio) kernel=$("$here/kernels.sh" x86_64 2>"$run/kernels.log") || broken "no kernel" ;;
arm64)
	arch=arm64
	kernel=$("$here/kernels.sh" arm64 2>"$run/kernels.log") || broken "no kernel"
	((npus == 1 && iommu)) || broken "this guest has one NPU and an IOMMU"
	;;
*) broken "there is no such guest" ;;
esac
qemu=$("$here/qemu_root.sh" 2>"$run/qemu_root.log") || broken "no QEMU"
emu=${NPU_EMU:-$top/build/release-gcc/npu-emu}
[[ -x $emu ]] || broken "there is no $emu"
"$here/initramfs.sh" "$arch" "$run/initramfs" "${modules[@]}" "${tree_options[@]}" 2>"$run/initramfs.log" ||
	broken "the guest's files cannot be put together"

# ---------------------------------------------------------------- the machine
append="quiet panic=-1 loglevel=4 iommu.strict=1"
# A busy host is late with the first interrupts of the timer, and the kernel would take it for broken.
[[ $arch == arm64 ]] || append="$append no_timer_check"
unsafe="iommufd.allow_unsafe_interrupts=1 vfio_iommu_type1.allow_unsafe_interrupts=1"
options=(-smp 2 -m "${ram}M" -nodefaults -no-user-config -display none -no-reboot
	-kernel "$kernel" -initrd "$run/initramfs" -chardev stdio,id=serial,signal=off -serial chardev:serial
	-chardev pipe,id=monitor,path="$run/monitor" -object monitor-hmp,id=hmp,chardev=monitor)
share=
if [[ $memory == memfd ]]; then
	options+=(-object "memory-backend-memfd,id=ram,size=${ram}M,share=on")
	share=,memory-backend=ram
fi
npu() { # N BUS [ADDRESS]
	# A host that is late is no device that is gone.
	printf '{"driver":"vfio-user-pci","id":"npu%d","bus":"%s","x-msg-timeout":60000,%s"socket":{"path":"%s","type":"unix"}}' \
		"$1" "$2" "${3:+\"addr\":\"$3\",}" "$run/npu$1.sock"
}

# The NPU's registers and interrupt line as the device tree of a chip would describe them; the PCI host behind is hidden.
device_tree() {
	"$qemu" aarch64 -M "$1,dumpdtb=$run/plain.dtb" -cpu cortex-a57 "${options[@]:0:4}" -nodefaults -display none \
		-global virtio-mmio.force-legacy=false -device virtio-iommu-device,bus=virtio-mmio-bus.0,primary-bus=pcie.0 \
		>"$run/dtb.log" 2>&1 || return 1
	local tree=$run/npu.dtb pci
	cp "$run/plain.dtb" "$tree"
	pci=$(fdtget -l "$tree" / | grep -m 1 '^pcie@')
	fdtput -t s "$tree" "/$pci" status disabled
	fdtput -t x "$tree" /virtio_mmio@a000000 phandle 9000
	fdtput -t x "$tree" /virtio_mmio@a000000 '#iommu-cells' 1
	fdtput -c "$tree" /npu@10000000
	fdtput -t s "$tree" /npu@10000000 compatible armchina,zhouyi-v3
	fdtput -t x "$tree" /npu@10000000 reg 0 10000000 0 10000
	fdtput -t x "$tree" /npu@10000000 interrupts 0 4 4
	fdtput -t x "$tree" /npu@10000000 iommus 9000 28
	fdtput "$tree" /npu@10000000 dma-coherent
}

mkfifo "$run/monitor.in" "$run/monitor.out" "$run/serial"
if [[ $arch == arm64 ]]; then
	machine=virt,gic-version=3,highmem-ecam=off
	device_tree "$machine" >>"$run/dtb.log" 2>&1 || broken "the device tree cannot be made"
	options=(aarch64 -accel tcg,thread=multi -machine "$machine$share" -cpu cortex-a57 "${options[@]}" -dtb "$run/npu.dtb"
		-global virtio-mmio.force-legacy=false
		-device "virtio-iommu-device,bus=virtio-mmio-bus.0,primary-bus=pcie.0" -device "$(npu 0 pcie.0 0x5)"
		-append "console=ttyAMA0 $append vfio-platform.reset_required=0 $unsafe")
else
	# The kernel's test of its timer counts ticks of real time, which a busy host does not deliver.
	append="$append no_timer_check"
	options=(x86_64 -accel "tcg,thread=multi" -cpu max -vga none "${options[@]}")
	if [[ $guest == x86-virtio ]]; then
		options+=(-machine "q35$share")
		if ((iommu)); then
			options+=(-device virtio-iommu-pci)
		fi
		append="$append $unsafe"
	else
		options+=(-machine "q35,kernel-irqchip=split$share")
		if ((iommu)); then
			options+=(-device "intel-iommu,caching-mode=on,intremap=on")
			append="$append intel_iommu=on"
		fi
	fi
	((iommu)) || append="$append vfio.enable_unsafe_noiommu_mode=1"
	for ((i = 0; i < npus; i++)); do
		options+=(-device "pcie-root-port,id=rp$i,chassis=$((i + 1)),slot=$((i + 1))" -device "$(npu "$i" "rp$i")")
	done
	options+=(-append "console=ttyS0 $append")
fi

# ---------------------------------------------------------------- running it
for ((i = 0; i < npus; i++)); do
	"$emu" --socket "$run/npu$i.sock" --model x2 --cores 3 "${emu_options[@]}" >"$run/npu-emu$i.log" 2>&1 &
	emu_pids+=($!)
done
for ((i = 0; i < npus; i++)); do
	for ((t = 0; t < 200; t++)); do
		[[ -S $run/npu$i.sock ]] && break
		sleep 0.05
	done
	[[ -S $run/npu$i.sock ]] || broken "npu-emu does not listen"
done
"$qemu" "${options[@]}" >"$run/serial" 2>"$run/qemu.log" </dev/null &
qemu_pid=$!
exec {serial}<"$run/serial" {monitor}<>"$run/monitor.in" {answers}<>"$run/monitor.out"

passed=0 failed=0 skipped=0 complete=0
name= output= begin=0
start=$SECONDS
deadline=$((SECONDS + timeout))
: >"$log"

say_time() { # MICROSECONDS
	printf '%d.%d s' $(($1 / 1000000)) $(($1 / 100000 % 10))
}

now() {
	echo "${EPOCHREALTIME/[.,]/}"
}

test_end() { # CODE
	local closing
	closing=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' <<<"$output" | tail -n 1) || true
	if [[ ! $closing =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		closing="1 passed, 0 failed, 0 skipped"
		(($1 == 0)) || closing="0 passed, 1 failed, 0 skipped"
		[[ $closing =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]
	fi
	passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
	if (($1 != 0 && BASH_REMATCH[2] == 0)); then failed=$((failed + 1)); fi
	if (($1 != 0 || BASH_REMATCH[2] != 0)); then
		printf -- '--- guest %s: %s: exit code %d\n%s\n' "$guest" "$name" "$1" "$(tail -n 60 <<<"$output")"
	else
		printf 'guest %s: %s: %s, %s\n' "$guest" "$name" "$closing" "$(say_time $(($(now) - begin)))"
		# What a test says in this form is for whoever started the guest.
		grep '^= ' <<<"$output" || true
	fi
	name=
}

serve() { # COMMAND
	case $1 in
	"monitor "*) printf '%s\n' "${1#monitor }" >&"$monitor" ;;
	"kill-emu "*) kill -KILL "${emu_pids[${1#kill-emu }]}" || true ;;
	*) echo "guest $guest asks for something unknown: $1" ;;
	esac
}

while ((SECONDS < deadline)); do
	line=
	IFS= read -r -t $((deadline - SECONDS)) line <&"$serial" || {
		[[ -n $line ]] || break
	}
	line=${line//$'\r'/}
	printf '%s\n' "$line" >>"$log"
	case $line in
	"@@ info "*) printf 'guest %s: %s\n' "$guest" "${line#@@ info }" ;;
	"@@ test "*)
		name=${line#@@ test } output='' begin=$(now)
		;;
	"@@ end "*) test_end "${line##* }" ;;
	"@@ host "*) serve "${line#@@ host }" ;;
	"@@ done") complete=1 ;;
	*) output+=$line$'\n' ;;
	esac
done
if ((!complete)); then
	failed=$((failed + 1))
	why="ended too early"
	if ((SECONDS >= deadline)); then
		why="was not ready within $timeout s"
	fi
	printf -- '--- guest %s %s%s\n' "$guest" "$why" "${name:+, in $name}"
	tail -n 60 "$log"
	sed 's/^/qemu: /' "$run/qemu.log" | tail -n 20
fi
for ((i = 0; i < npus; i++)); do
	if [[ -s $run/npu-emu$i.log ]]; then
		sed "s/^/npu-emu$i: /" "$run/npu-emu$i.log" | tail -n 10
	fi
done
printf 'guest %s, %s memory: %d s\n' "$guest" "$memory" $((SECONDS - start))
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0))
