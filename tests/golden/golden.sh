#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Golden outputs, end to end: compiles each network, starts a software NPU and npud, and lets golden_test compare. The
# required networks must compile; the others may be refused by npucc as unsupported, and then count as skipped. Two
# numbers are checked on the way: how tightly npucc plans both face detectors' memory (at most 1.2 times what lives at
# once), and how evenly the software NPU saw convolutions shared (the busiest task at most 1.3 times the mean).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. scripts/stack.sh
counters=$(mktemp)
trap 'stack_stop; rm -f "$counters"' EXIT
trap 'exit 130' INT TERM

fail() {
	echo "$*"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

passed=0 failed=0
check() { # TEXT VALUE LIMIT
	if awk -v value="$2" -v limit="$3" 'BEGIN { exit !(value ~ /^[0-9.]+$/ && value + 0 <= limit) }'; then
		passed=$((passed + 1))
		echo "$1: $2, at most $3"
	else
		failed=$((failed + 1))
		echo "FAILED: $1 is '$2', more than $3 or no number"
	fi
}

STACK_EMU_OPTIONS=(--stats "$counters")
stack_start 3 || fail "the daemon and the software NPU did not start"
arguments=()
compile() { # required|optional NAME [NPUCC OPTION...]
	local kind=$1 name=$2 model code
	shift 2
	model=$(scripts/fetch.sh "$name") || fail "no model $name"
	"$BIN/npucc" --stats "$model" -o "$STACK_DIR/$name.elf" "$@" >"$STACK_DIR/$name.stats" 2>"$STACK_DIR/npucc.log"
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
for name in blazeface-front blazeface-back; do
	check "$name: planned memory / live peak" "$(sed -n 's/^planned_ratio: //p' "$STACK_DIR/$name.stats")" 1.2
done

answer=$("$BIN/tests/golden/golden_test" tests/golden "${arguments[@]}")
grep -vE '^[0-9]+ passed, ' <<<"$answer"
[[ $answer =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]] || fail "the comparison ended early"
passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=${BASH_REMATCH[3]}

# The counters are written at the end.
if ! stack_stop; then
	failed=$((failed + 1))
	echo "FAILED: npud or the software NPU did not end well"
fi
read -r measured worst < <(tr -d ' \n' <"$counters" |
	sed -n 's/.*"conv_share":{"measured":\([0-9]*\),"worst":\([0-9.e+-]*\)}.*/\1 \2\n/p')
if ((${measured:-0} == 0)); then
	worst="not measured"
fi
check "busiest task / mean, over ${measured:-0} convolutions" "${worst:-}" 1.3
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
