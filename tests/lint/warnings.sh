#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Programs, library and every test program build without a warning with both compilers (warnings are errors in the
# Makefile). $B, if set, is the folder in whose subfolders they are built.
. "$(dirname "$0")/lib.sh"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for compiler in gcc clang; do
	place=()
	if [[ -n ${B:-} ]]; then place=(B="$B/$compiler"); fi
	if make -j2 CC="$compiler" "${place[@]}" all unit-programs test-programs >"$log" 2>&1; then
		pass
	else
		fail "make CC=$compiler"
		grep -E 'error|Error' "$log" | head -n 30
	fi
done
finish
