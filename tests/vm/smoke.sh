#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/vm/smoke.sh [GUEST:MEMORY:IOMMU]...: npud in guests, on the kernel's own VFIO with a software NPU behind it, runs
# two models. What comes out is, bit for bit, what the same models give on this machine without a kernel in between.
# IOMMU is the back end that npud is told to use (type1, iommufd). BIN and BIN_ARM64 name the folders of the programs.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$here/../.."
export BIN=${BIN:-build/release-gcc}
BIN_ARM64=${BIN_ARM64:-build/release-aarch64-linux-gnu-gcc}
# shellcheck source=scripts/stack.sh
. scripts/stack.sh

# every machine, every back end, both kinds of memory at least once
all="stock:plain:type1 x86:plain:iommufd x86:memfd:iommufd x86:plain:type1 x86-virtio:plain:iommufd
	x86-virtio:memfd:type1 arm64:plain:iommufd arm64:memfd:type1"
# shellcheck disable=SC2086
(($#)) || set -- $all

work=$(mktemp -d)
trap 'stack_stop || true; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

stop() { # MESSAGE: nothing could be compared
	printf 'smoke: %s\n' "$1"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

# ---------------------------------------------------------------- what this machine says
models="sigmoid blazeface"
"$BIN/npucc" /usr/share/libonnx-testdata/data/node/test_sigmoid/model.onnx -o "$work/sigmoid.elf" || stop "npucc"
"$BIN/npucc" "$(scripts/fetch.sh blazeface-back)" -o "$work/blazeface.elf" || stop "npucc"
mkdir "$work/out"
stack_start 3 || stop "npud does not run on this machine"
for model in $models; do
	"$BIN/npuctl" run "$work/$model.elf" --input random:7 --output "$work/out/$model" >"$work/npuctl.log" 2>&1 || {
		cat "$work/npuctl.log"
		stop "$model does not run on this machine"
	}
done
stack_stop
(cd "$work/out" && find . -type f | LC_ALL=C sort | xargs sha256sum) >"$work/sums"
[[ $(wc -l <"$work/sums") == 5 ]] || stop "the models have five outputs, not $(wc -l <"$work/sums")"

# ---------------------------------------------------------------- what the guests say
guest() { # GUEST MEMORY IOMMU
	local bin=$BIN
	if [[ $1 == arm64 ]]; then
		bin=$BIN_ARM64
	fi
	NPU_EMU=$BIN/npu-emu "$here/guest.sh" "$1" --memory "$2" --timeout 180 \
		--program "$bin/npud" --program "$bin/npuctl" \
		--put "$work/sigmoid.elf=/models/sigmoid.elf" --put "$work/blazeface.elf=/models/blazeface.elf" \
		--put "$work/sums=/models/sums" \
		--test "start=mkdir -p /tmp/out; npud_config ', \"iommu\": \"$3\"' >/tmp/npud.json && npud_start" \
		--test "info=npuctl info && grep -o 'device.ready.*' /tmp/npud.log | sed 's/^/= /'" \
		--test "sigmoid=npuctl run /models/sigmoid.elf --input random:7 --output /tmp/out/sigmoid" \
		--test "blazeface=npuctl run /models/blazeface.elf --input random:7 --output /tmp/out/blazeface" \
		--test "blazeface again=npuctl run /models/blazeface.elf --input random:8 --repeat 3" \
		--test "same as on the host=cd /tmp/out && sha256sum -c /models/sums" \
		--test "stop=npud_stop"
}

# two at a time: more would only be in each other's way
passed=0 failed=0 skipped=0
start=$SECONDS
n=0
while (($#)); do
	pids=() logs=()
	for _ in 1 2; do
		if (($#)); then
			n=$((n + 1))
			logs+=("$work/$n.log")
			IFS=: read -r name memory iommu <<<"$1"
			(guest "$name" "$memory" "$iommu" >"$work/$n.log" 2>&1 </dev/null) &
			pids+=($!)
			shift
		fi
	done
	for i in "${!pids[@]}"; do
		wait "${pids[i]}" || true
		cat "${logs[i]}"
		if [[ $(tail -n 1 "${logs[i]}") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
			passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
			skipped=$((skipped + BASH_REMATCH[3]))
		else
			failed=$((failed + 1))
		fi
	done
done
printf 'smoke: %d guests in %d s\n' "$n" $((SECONDS - start))
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0))
