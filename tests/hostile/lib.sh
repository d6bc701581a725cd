# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For the tables of this folder: rows, and which tests ran. A test program's record, written by tests/run.sh, lies beside
# it; one that is older than its program is of another program.
build=${NPUD_BUILD:?names the build folder}
# counting and the closing line
. tests/docs/lib.sh

rows() { grep -v '^#' "$1"; } # TABLE

# ran SUITE: the names of its tests that ran and passed
ran()
{
	local record
	while read -r record; do
		[[ $record -nt ${record%.tap} ]] || continue
		sed -n 's/^ok [0-9]* - [^:]*:[^:]*:\([a-z0-9_]*\): .*/\1/p' "$record"
	done < <(find "$build/tests/$1" -name '*.tap' 2>/dev/null) | sort -u
}

# written SUITE: the names of its tests in the sources
written() { grep -rhoE '^START_TEST\([a-z0-9_]+\)' "tests/$1" --include='*.c' | sed 's/START_TEST(//; s/)//' | sort -u; }
