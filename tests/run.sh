#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/run.sh NAME PROGRAM...: runs each program, adds up their closing lines "N passed, N failed, N skipped", shows the
# output of those that fail, and closes with the sum. A program that dies or prints no closing line counts as a failure.
# Lines that begin with "= " are shown always. PROGRAM.tap says which tests of a compiled program ran: libcheck writes it.
set -u
name=$1
shift
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for program in "$@"; do
	if [[ $program == *.sh ]]; then
		"$program" >"$log" 2>&1 </dev/null
	else
		CK_TAP_LOG_FILE_NAME=$program.tap "$program" >"$log" 2>&1 </dev/null
	fi
	code=$?
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
	if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
		if ((code != 0 && BASH_REMATCH[2] == 0)); then failed=$((failed + 1)); fi
	else
		failed=$((failed + 1))
	fi
	if ((code != 0)) || [[ -z $line ]]; then
		printf -- '--- %s: exit code %d\n' "$program" "$code"
		tail -n 60 "$log"
	else
		printf -- '%s %s: %s\n' "$name" "${program##*/}" "$line"
		grep '^= ' "$log"
	fi
done
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0))
