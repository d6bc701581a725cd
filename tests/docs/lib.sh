# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For checks of documents and tables: counts results and closes with the line that tests/run.sh adds up.
passed=0 failed=0

pass() { passed=$((passed + 1)); }
fail()
{
	failed=$((failed + 1))
	printf 'FAILED: %s\n' "$*"
}

# check WHAT COMMAND...: the command succeeds
check()
{
	local what=$1
	shift
	if "$@"; then pass; else fail "$what"; fi
}

# compare WHAT A B: both files hold the same lines; what differs is shown, < only in the first, > only in the second
compare()
{
	local what=$1 out
	if out=$(diff "$2" "$3"); then
		pass
	else
		fail "$what"
		grep '^[<>]' <<<"$out"
	fi
}

finish()
{
	printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
	((failed == 0))
}
