#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The ONNX test data end to end: starts a software NPU and npud, and lets the conformance program do the rest. A run over
# all of it also fails if it met fewer models than there are, or passed fewer than the compiler is known to translate.
# Usage: BIN=build/... conformance.sh [NAME-PATTERN]
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. scripts/stack.sh
trap stack_stop EXIT
trap 'exit 130' INT TERM

data=/usr/share/libonnx-testdata/data
if [[ ! -d $data ]]; then
	echo "no test data in $data: install the Debian package libonnx-testdata"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi
if ! stack_start 3; then
	echo "the daemon and the software NPU did not start"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi
if (($#)); then
	"$BIN/tests/conformance/conformance" "$BIN/npucc" "$data" "$1"
	exit
fi
want_models=1072 want_passed=200
log=$(mktemp)
trap 'stack_stop; rm -f "$log"' EXIT
"$BIN/tests/conformance/conformance" "$BIN/npucc" "$data" '*' | tee "$log" | grep -vE '^[0-9]+ passed, '
code=${PIPESTATUS[0]}
read -r passed failed skipped < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$log")
unsupported=$(sed -n 's/^unsupported: //p' "$log")
if [[ -z ${skipped:-} || -z $unsupported ]] || ((code != 0 && failed == 0)); then
	echo "FAILED: the program ended with code $code before it was through"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi
models=$((passed + failed + skipped + unsupported))
if ((models < want_models)); then
	echo "FAILED: met $models models, there are $want_models"
	failed=$((failed + 1))
fi
if ((passed < want_passed)); then
	echo "FAILED: $passed models passed, it has to be $want_passed"
	failed=$((failed + 1))
fi
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
