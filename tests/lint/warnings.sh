#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Programs, library and unit tests build without a warning with both compilers (warnings are errors in the Makefile).
. "$(dirname "$0")/lib.sh"
for compiler in gcc clang; do
	if make -j2 CC="$compiler" all unit-programs >/tmp/npud-warnings.$$ 2>&1; then
		pass
	else
		fail "make CC=$compiler"
		grep -E 'error|Error' /tmp/npud-warnings.$$ | head -n 30
	fi
done
rm -f /tmp/npud-warnings.$$
finish
