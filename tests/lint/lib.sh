# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For the lint parts: the tree's own sources, counting, the closing line.
unset MAKEFLAGS MFLAGS MAKELEVEL
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
passed=0 failed=0

# sources PATTERN...: own files, tests included
sources()
{
	local -a names=()
	for pattern in "$@"; do names+=(-o -name "$pattern"); done
	find daemon libclient emulator tools proto tests docs/examples -type f \( "${names[@]:1}" \) | sort
}

# programs: the C files of what is shipped
programs()
{
	find daemon libclient emulator tools docs/examples -type f -name '*.c' | sort
}

pass() { passed=$((passed + 1)); }
fail()
{
	failed=$((failed + 1))
	printf 'FAILED: %s\n' "$*"
}

finish()
{
	printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
	((failed == 0))
}
