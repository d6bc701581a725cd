#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/bench_guest.sh: the rows of the table that need a kernel's VFIO. Starts a guest with its own kernel and a
# software NPU as its hardware, runs tests/bench/guest in it, and prints what that prints. Without a kernel, QEMU or
# enough memory each row says so. $SCALE is the per cent of the usual number of repetitions; $VERBOSE shows what the guest
# said as well.
#
# A kernel is not built here: that takes minutes (make vm-kernels does it once).
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${BIN:-build/release-gcc}
bench=$bin/tests/bench/guest/bench_guest
scale=${SCALE:-100}
ram=2048 # MiB
huge_pages=600 # 1 GiB that is mapped, and some: a client takes no more than half of those that are free
log=$(mktemp)
trap 'rm -f "$log"' EXIT

missing() { # REASON
	"$bench" missing "$1"
	exit 0
}

have_kernel() {
	local dir
	for dir in "${VM_KERNELS:-}" "${XDG_CACHE_HOME:-$HOME/.cache}/npud/kernels"; do
		if [[ -n $dir ]] && compgen -G "$dir/vmlinux-*-x86_64*" >/dev/null; then
			return 0
		fi
	done
	return 1
}

have_kernel || missing "there is no kernel for a guest (make vm-kernels builds one)"
tests/vm/qemu_root.sh >/dev/null 2>"$log" || missing "there is no QEMU for a guest: $(tail -n 1 "$log")"
command -v busybox >/dev/null || missing "there is no busybox for a guest (scripts/setup.sh check installs it)"
available=$(awk '/MemAvailable/ {print int($2 / 1024)}' /proc/meminfo)
((available >= ram + 512)) || missing "a guest needs $ram MiB of memory, $available are available"

NPU_EMU=$(readlink -f "$bin/npu-emu") tests/vm/guest.sh x86 --memory memfd --ram "$ram" --timeout "${BENCH_GUEST_TIMEOUT:-600}" \
	--program "$bin/npud" --program "$bench" \
	--put "tests/bench/guest/in_guest.sh=/bench.sh" \
	--test "huge pages=sh /bench.sh $scale prepare $huge_pages" \
	--test "transport, iommufd=sh /bench.sh $scale transport iommufd" \
	--test "transport, type1=sh /bench.sh $scale transport type1" \
	--test "interrupt=sh /bench.sh $scale interrupt" \
	--test "memory, iommufd=sh /bench.sh $scale memory iommufd" \
	--test "memory, type1=sh /bench.sh $scale memory type1" \
	>"$log" 2>&1 || {
	cat "$log" >&2
	exit 1
}
[[ -z ${VERBOSE:-} ]] || cat "$log" >&2
sed -n 's/^guest x86: Linux \(.*\)/in a guest, emulated: Linux \1/p; s/^= //p' "$log"
