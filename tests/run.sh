#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/run.sh [-j N] NAME PROGRAM...: runs each program, N at a time, adds up their closing lines "N passed, N failed, N
# skipped", shows the output of those that fail, and closes with the sum. A program that dies or prints no closing line
# counts as a failure. Lines that begin with "= " are shown always. PROGRAM.tap says which tests of a compiled program
# ran: libcheck writes it.
set -u
jobs=1
if [[ $1 == -j ]]; then
	jobs=$2
	shift 2
fi
name=$1
shift
passed=0 failed=0 skipped=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

run() { # N PROGRAM
	if [[ $2 != *.sh ]]; then
		export CK_TAP_LOG_FILE_NAME=$2.tap
	fi
	"$2" >"$logs/$1" 2>&1 </dev/null
	echo $? >"$logs/$1.code"
}

report() { # N PROGRAM
	local code line
	code=$(<"$logs/$1.code")
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$logs/$1" | tail -n 1)
	if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
		if ((code != 0 && BASH_REMATCH[2] == 0)); then failed=$((failed + 1)); fi
	else
		failed=$((failed + 1))
	fi
	if ((code != 0)) || [[ -z $line ]]; then
		printf -- '--- %s: exit code %d\n' "$2" "$code"
		tail -n 60 "$logs/$1"
	else
		printf -- '%s %s: %s\n' "$name" "${2##*/}" "$line"
		grep '^= ' "$logs/$1"
	fi
}

# In their order, as soon as those before are reported.
next=1
report_ready() {
	while ((next <= $#)) && [[ -s $logs/$next.code ]]; do
		report "$next" "${!next}"
		next=$((next + 1))
	done
}

for ((n = 1; n <= $#; n++)); do
	run "$n" "${!n}" &
	if (($(jobs -rp | wc -l) >= jobs)); then
		wait -n || true
	fi
	report_ready "$@"
done
wait
report_ready "$@"
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0))
