#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The ONNX test data end to end: starts a software NPU and npud, and lets the conformance program do the rest.
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
"$BIN/tests/conformance/conformance" "$BIN/npucc" "$data" "${1:-*}"
