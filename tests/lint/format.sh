#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C file is as clang-format writes it. Many files a process: one each would cost more than the looking.
. "$(dirname "$0")/lib.sh"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
sources '*.c' '*.h' | xargs -n32 clang-format --dry-run -Werror >"$log" 2>&1
code=$?
while read -r file; do
	if found=$(grep -m 1 -A2 "^$file:[0-9]" "$log"); then
		fail "$file: clang-format -i would change it"
		printf '%s\n' "$found"
	else
		pass
	fi
done < <(sources '*.c' '*.h')
# A message that is no file's: the program did not run, or read something else.
if ((code != 0 && failed == 0)); then fail "clang-format: $(head -n 3 "$log")"; fi
finish
