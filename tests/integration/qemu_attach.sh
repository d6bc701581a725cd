#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/integration/qemu_attach.sh: a QEMU 11 without a guest attaches the software NPU over vfio-user and shows it as
# what it is: a processing accelerator (class 0x1200) with 64 KiB of registers in BAR0.
# $NPU_EMU names the program; otherwise it is built.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
run=$(mktemp -d)
emu_pid=
finish() {
	[[ -n $emu_pid ]] && kill "$emu_pid" 2>/dev/null && wait "$emu_pid"
	rm -rf "$run"
}
trap finish EXIT

verdict() { # passed? message
	if (($1)); then
		echo "1 passed, 0 failed, 0 skipped"
		exit 0
	fi
	printf 'qemu_attach: %s\n' "$2" >&2
	for log in "$run"/*.log; do
		[[ -s $log ]] && sed "s|^|${log##*/}: |" "$log" >&2
	done
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

emu=${NPU_EMU:-}
if [[ -z $emu ]]; then
	make -s -C "$here" build/release-gcc/npu-emu >"$run/make.log" 2>&1 || verdict 0 "npu-emu does not build"
	emu=$here/build/release-gcc/npu-emu
fi
qemu=$("$here/tests/vm/qemu_root.sh" 2>"$run/qemu_root.log") || verdict 0 "no QEMU"

"$emu" --socket "$run/npu.sock" --model x2 --cores 3 --stats "$run/stats.json" 2>"$run/npu-emu.log" &
emu_pid=$!
for ((i = 0; i < 100; i++)); do
	[[ -S $run/npu.sock ]] && break
	sleep 0.05
done
[[ -S $run/npu.sock ]] || verdict 0 "npu-emu does not listen"

# The machine is not started: attaching happens before its first instruction.
(
	printf 'info pci\n'
	printf 'quit\n'
) | timeout 60 "$qemu" x86_64 -accel tcg -machine q35 -m 64M -nodefaults -no-user-config -display none -vga none -S \
	-monitor stdio -device '{"driver":"vfio-user-pci","id":"npu0","socket":{"path":"'"$run/npu.sock"'","type":"unix"}}' \
	>"$run/qemu.log" 2>&1 || verdict 0 "QEMU failed"

kill "$emu_pid"
wait "$emu_pid" || verdict 0 "npu-emu did not end cleanly"
emu_pid=
[[ ! -e $run/npu.sock ]] || verdict 0 "npu-emu left its socket behind"

device=$(tr -d '\r' <"$run/qemu.log" | awk '/^ *Bus /{block = ""} {block = block $0 "\n"} /id "npu0"/{printf "%s", block}')
grep -q 'PCI device 1234:1204' <<<"$device" || verdict 0 "no NPU in info pci"
# 4608 is 0x1200; newer monitors may know the name
grep -Eqi 'class (4608|0x1200|1200)\b|processing accelerator' <<<"$device" || verdict 0 "the class is not 0x1200"
grep -q 'BAR0: 32 bit memory' <<<"$device" || verdict 0 "no BAR0"
grep -q '"register_reads"' "$run/stats.json" || verdict 0 "no counters"
verdict 1 ""
