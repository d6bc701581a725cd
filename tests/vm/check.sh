#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/vm/check.sh [GUEST:MEMORY:IOMMU:SET,SET...]...: npud in guests, on the kernel's own VFIO with a software NPU
# behind it. Without arguments: the matrix below. GUEST and MEMORY are those of guest.sh; IOMMU is the back end that npud
# is told to use (type1, iommufd), or none for a machine without one. BIN and BIN_ARM64 name the folders of the programs.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$here/../.."
export BIN=${BIN:-build/release-gcc}
BIN_ARM64=${BIN_ARM64:-build/release-aarch64-linux-gnu-gcc}
# shellcheck source=scripts/stack.sh
. scripts/stack.sh

# models   two networks; what comes out is, bit for bit, what they give on this machine without a kernel in between
# raw      a driver without npud: memory that is not mapped is refused (with IOMMU none: reached), copies are complete
# intx     the models by the interrupt line, then the device is unplugged
# operator doctor, bind, unbind, and what npud refuses to start with
# others   the programs of that name, in tests/vm/guest or tests/integration
matrix="stock:plain:type1:models,isolation,life,operator,wire
	x86:plain:iommufd:models,isolation,raw,wire,spaces
	x86:memfd:iommufd:models,forged,activation
	x86:plain:iommufd:refused
	x86:plain:type1:models,refused,fail,spaces
	x86:plain:iommufd:fail,life,operator
	x86:plain:none:raw,operator
	x86-virtio:plain:iommufd:models,raw,life
	x86-virtio:memfd:type1:models,failures
	x86:plain:iommufd:ladder
	x86:plain:type1:ladder,vanish
	stock:plain:type1:intx
	arm64:plain:iommufd:models,isolation,raw
	arm64:plain:type1:life,operator
	arm64:memfd:type1:models"
# shellcheck disable=SC2086
(($#)) || set -- $matrix

work=$(mktemp -d)
pids=()
finish() {
	local pid
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null || true
	done
	wait
	stack_stop || true
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

stop() { # MESSAGE: nothing could be tested
	printf 'vm: %s\n' "$1"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

# A guest that cannot run is a failure, unless it was said beforehand that it may be.
cannot() { # REASON
	if [[ " ${ALLOW_SKIP-} " == *" vm "* ]]; then
		printf 'skipped vm: %s\n' "$1"
		echo "0 passed, 0 failed, 1 skipped"
		exit 0
	fi
	stop "$1 (ALLOW_SKIP=vm would leave the guests out)"
}

# ---------------------------------------------------------------- what guests need
"$here/kernels.sh" || cannot "there are no kernels for guests"
"$here/qemu_root.sh" >/dev/null || cannot "there is no QEMU for guests"
${MAKE:-make} --no-print-directory CC=aarch64-linux-gnu-gcc guest-programs ||
	cannot "the programs cannot be built for arm64"

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

# ---------------------------------------------------------------- what a guest is asked
options=()

add_models() { # IOMMU
	options+=(--test "start=mkdir -p /tmp/outputs; npud_config ', \"iommu\": \"$1\"' >/tmp/npud.json && npud_start"
		--test "info=npuctl info && grep -o 'transport=.*' /tmp/npud.log | head -n 1 | sed 's/^/= /'"
		--test "sigmoid=npuctl run /models/sigmoid.elf --input random:7 --output /tmp/outputs/sigmoid"
		--test "blazeface=npuctl run /models/blazeface.elf --input random:7 --output /tmp/outputs/blazeface"
		--test "blazeface again=npuctl run /models/blazeface.elf --input random:8 --repeat 3 >/tmp/again && grep latency /tmp/again | sed 's/^/= /'"
		--test "same as on the host=cd /tmp/outputs && sha256sum -c /models/sums")
}

add_set() { # SET BIN IOMMU
	local bin=$2 program environment
	case $1 in
	models)
		add_models "$3"
		options+=(--test "stop=npud_stop")
		;;
	raw)
		options+=(--program "$bin/tests/vm/raw_npu")
		if [[ $3 == none ]]; then
			options+=(--test 'without an IOMMU=raw_npu $(npu_addresses) reach reached')
		else
			options+=(--test 'unmapped=raw_npu $(npu_addresses) reach refused'
				--test 'copy=raw_npu $(npu_addresses) copy 16' --test 'maps=raw_npu $(npu_addresses) maps 10000')
		fi
		;;
	intx)
		add_models "$3"
		options+=(--emu --no-msix --test 'interrupt line=grep vfio-intx /proc/interrupts | sed "s/^/= /" | grep .'
			--test 'unplugged=ask_host monitor device_del npu0; wait_for 100 npu_unplugged && npuctl info | grep offline'
			--test "stop=npud_stop")
		;;
	operator)
		program="sh /npu/operator.sh"
		if [[ $3 == none ]]; then
			program="$program no-iommu"
		fi
		options+=(--put tests/vm/guest/operator.sh=/npu/operator.sh --test "operator=$program")
		;;
	*)
		program=$bin/tests/vm/guest/test_$1
		[[ -x $program ]] || program=$bin/tests/integration/test_$1
		environment="NPUD_BUILD=/npu NPUD_TEST_ADDRESS=\$(npu_addresses) NPUD_TEST_IOMMU=$3"
		options+=(--program "$program" --test "$1=$environment test_$1")
		# Only then is the IOMMU alone in the way.
		if [[ $1 == refused ]]; then options+=(--emu --blind-dma); fi
		if [[ $1 == ladder ]]; then options+=(--emu --hard-hangs); fi
		if [[ $1 == fail || $1 == ladder ]]; then options+=(--program "$bin/tests/vm/guest/fail_ioctl.so"); fi
		;;
	esac
}

guest() { # GUEST MEMORY IOMMU SETS
	local bin=$BIN set memory=$2
	if [[ $1 == arm64 ]]; then
		bin=$BIN_ARM64
	fi
	options=(--program "$bin/npud" --program "$bin/npuctl" --put "$work/sums=/models/sums"
		--put "$work/sigmoid.elf=/models/sigmoid.elf" --put "$work/blazeface.elf=/models/blazeface.elf")
	if [[ $3 == none ]]; then
		options+=(--no-iommu)
	fi
	for set in ${4//,/ }; do
		add_set "$set" "$bin" "$3"
	done
	echo "== guest $1, $memory memory, $3: ${4//,/, }"
	NPU_EMU=$BIN/npu-emu exec "$here/guest.sh" "$1" --memory "$memory" --timeout 300 "${options[@]}"
}

# ---------------------------------------------------------------- two at a time: more would be in each other's way
passed=0 failed=0 skipped=0
start=$SECONDS
n=0 next=1

report() { # N
	local closing
	cat "$work/$1.log"
	# A QEMU that dies after its guest's last test is mentioned by the shell behind the closing line.
	closing=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$work/$1.log" | tail -n 1) || true
	if [[ $closing =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
	else
		failed=$((failed + 1))
	fi
}

# In the order of the matrix, whatever ends first.
report_ready() {
	while ((next <= n)) && ! kill -0 "${pids[next - 1]}" 2>/dev/null; do
		report "$next"
		next=$((next + 1))
	done
}

for row in "$@"; do
	IFS=: read -r name memory iommu sets <<<"$row"
	[[ -n ${sets-} ]] || stop "'$row' is not GUEST:MEMORY:IOMMU:SETS"
	n=$((n + 1))
	guest "$name" "$memory" "$iommu" "$sets" >"$work/$n.log" 2>&1 </dev/null &
	pids+=($!)
	if (($(jobs -rp | wc -l) >= 2)); then
		wait -n || true
	fi
	report_ready
done
wait
report_ready
printf 'vm: %d guests in %d s\n' "$n" $((SECONDS - start))
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0))
