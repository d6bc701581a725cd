#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/demo.sh: one inference, end to end; `make demo` has built what it needs. Starts a software NPU and npud in a
# private run directory, compiles the BlazeFace face detector for it, finds the faces on $PHOTO (or on a photograph of
# three people), writes $OUT/faces.png and faces.json, and stops everything, whatever happens.
#
# DEMO_CUT=device leaves the device out of the configuration, DEMO_CUT=emulator stops the software NPU before the
# network runs: both have to make the demo fail, which tests/demo relies on.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
. scripts/stack.sh

OUT=${OUT:-build/demo}
cut=${DEMO_CUT:-}
photo=${PHOTO:-}

say() {
	printf 'demo: %s\n' "$*"
}

fail() {
	printf 'demo: FAILED: %s\n' "$*" >&2
	exit 1
}

now_ms() {
	local now=$EPOCHREALTIME
	echo $((10#${now%[.,]*} * 1000 + 10#${now#*[.,]} / 1000))
}

finish() {
	local code=$?
	trap - EXIT
	if ! stack_stop && ((code == 0)); then
		code=1
	fi
	if ((code == 0)); then
		say "software NPU and npud are stopped"
	fi
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

for program in npud npu-emu npucc faces; do
	[[ -x $BIN/$program ]] || fail "there is no $BIN/$program; run make first"
done
model=$(scripts/fetch.sh blazeface-back) || fail "the model is not there"
if [[ -z $photo ]]; then
	photo=$(scripts/fetch.sh sample-photo) || fail "the photograph is not there"
elif [[ $photo != /* ]]; then
	photo=$here/$photo
fi
[[ -f $photo ]] || fail "there is no photograph $photo"
mkdir -p "$OUT"
rm -f "$OUT/faces.png" "$OUT/faces.json"

start=$(now_ms)
stack_dir
stack_emu_start 3 || fail "the software NPU did not start"
if [[ $cut == device ]]; then
	stack_npud_start none || fail "npud did not start"
else
	stack_npud_start emulator || fail "npud did not start"
fi
say "software NPU and npud are up after $(($(now_ms) - start)) ms"

start=$(now_ms)
"$BIN/npucc" "$model" -o "$STACK_DIR/blazeface.elf" >"$STACK_DIR/npucc.log" 2>&1 ||
	fail "npucc: $(tail -n 1 "$STACK_DIR/npucc.log")"
say "compile: BlazeFace for the NPU in $(($(now_ms) - start)) ms"

if [[ $cut == emulator ]]; then
	stack_emu_stop
fi
# A device that never answers is npud's to notice; this is only so that the demo ends in any case.
timeout -k 5 60 "$BIN/faces" --model "$STACK_DIR/blazeface.elf" --photo "$photo" --png "$OUT/faces.png" \
	--json "$OUT/faces.json" || fail "see the line above"
say "the faces are marked in $OUT/faces.png"
