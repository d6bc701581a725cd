#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Golden outputs, end to end: compiles each network, starts a software NPU and npud, and lets golden_test compare. The
# required networks must compile; the others may be refused by npucc as unsupported, and then count as skipped.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. scripts/stack.sh
trap stack_stop EXIT
trap 'exit 130' INT TERM

fail() {
	echo "$*"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

stack_start 3 || fail "the daemon and the software NPU did not start"
arguments=()
compile() { # required|optional NAME [NPUCC OPTION...]
	local kind=$1 name=$2 model code
	shift 2
	model=$(scripts/fetch.sh "$name") || fail "no model $name"
	"$BIN/npucc" "$model" -o "$STACK_DIR/$name.elf" "$@" >"$STACK_DIR/npucc.log" 2>&1
	code=$?
	if ((code == 0)); then
		arguments+=("$name=$STACK_DIR/$name.elf")
	elif [[ $kind == optional ]] && ((code == 3)); then # well formed, but unsupported
		echo "$name is skipped: $(tail -n 1 "$STACK_DIR/npucc.log")"
		arguments+=("$name=")
	else
		fail "npucc refuses $name: $(tail -n 1 "$STACK_DIR/npucc.log")"
	fi
}
compile required blazeface-front
compile required blazeface-back
compile required ppocr-cls --shape x=1x3x48x192
compile optional ppocr-det --shape x=1x3x160x160
compile optional ppocr-rec --shape x=1x3x48x64

"$BIN/tests/golden/golden_test" tests/golden "${arguments[@]}"
code=$?
stack_stop || code=1
exit "$code"
