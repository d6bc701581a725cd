#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/bench.sh: starts npud with one software NPU and a second software NPU that is driven directly, measures the
# baselines that are programs of their own, and prints the table of tests/bench. $SCALE is the per cent of the usual
# number of repetitions, $THREADS the number of threads that the software NPU and oneDNN alone compute with (default: one
# per processor). onnxruntime-web is taken from the cache, or installed there; without it its row says so. What needs a
# kernel's VFIO is measured last, in a guest (scripts/bench_guest.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/stack.sh

cache=${XDG_CACHE_HOME:-$HOME/.cache}/npud
runtime=$cache/onnxruntime-web-1.30.0
scale=${SCALE:-100}
threads=${THREADS:-$(nproc)}
runs=$((40 * scale / 100))
runs=$((runs < 5 ? 5 : runs))
second=
finish() {
	if [[ -n $second ]]; then
		stack_end "$second" || true
	fi
	stack_stop || true
}
trap finish EXIT
trap 'exit 130' INT TERM

onnxruntime_ms() { # MODEL
	if [[ ! -d $runtime/node_modules/onnxruntime-web ]]; then
		rm -rf "$runtime.new"
		npm install --silent --no-save --prefix "$runtime.new" onnxruntime-web@1.30.0 >/dev/null 2>&1 || return 1
		mv "$runtime.new" "$runtime"
	fi
	node scripts/bench.mjs "$runtime" "$1" "$runs" 2>/dev/null
}

# Requests and jobs: npud, its client, and the echo process share one CPU, so that the table compares work and not where
# the scheduler happens to put two processes.
host=()
if command -v taskset >/dev/null; then
	host=(taskset -c 0)
	echo "requests and jobs: npud and its client on CPU 0, the devices on any; models: all on any CPU"
fi
echo "threads of the software NPU and of oneDNN alone: $threads; of onnxruntime-web: 1"
STACK_EMU_OPTIONS=(--threads "$threads")
STACK_NPUD_PREFIX=("${host[@]}")
# A thousand sessions of one user, and one that hangs again and again.
STACK_NPUD_MEMBERS=', "limits": {"connections": 1100, "connections_per_user": 1100, "tenant": {"sessions": 1100}},
 "quarantine": {"session_threshold": 0, "tenant_threshold": 0}'
stack_start 3
stack_run "$STACK_DIR/second.log" "$BIN/npu-emu" --socket "$STACK_DIR/second.sock" --model x2 --cores 3 \
	--threads "$threads" &
second=$!
stack_wait_for "$STACK_DIR/second.sock" "$second" npu-emu "$STACK_DIR/second.log"
"${host[@]}" "$BIN/tests/bench/bench" --npud "$NPU_SOCKET" --npud-pid "$STACK_NPUD" --device "$STACK_DIR/second.sock" \
	--corpus tests/fuzz/seeds/wire --scale "$scale"
finish
second=

STACK_NPUD_PREFIX=() STACK_NPUD_MEMBERS=
stack_start 3
model=$(scripts/fetch.sh blazeface-back) || exit 1
"$BIN/npucc" "$model" -o "$STACK_DIR/blazeface.elf"
arguments=(--npud "$NPU_SOCKET" --model "$STACK_DIR/blazeface.elf" --scale "$scale")
if [[ -x $BIN/tests/bench/blazeface_dnnl ]]; then
	arguments+=(--dnnl "OMP_NUM_THREADS=$threads '$BIN/tests/bench/blazeface_dnnl' '$model' $runs")
fi
if value=$(onnxruntime_ms "$model"); then
	arguments+=(--onnxruntime-ms "$value")
fi
"$BIN/tests/bench/bench" "${arguments[@]}"
finish
scripts/bench_fair.sh
scripts/bench_guest.sh
