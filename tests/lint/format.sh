#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C file is as clang-format writes it.
. "$(dirname "$0")/lib.sh"
while read -r file; do
	if clang-format --dry-run -Werror "$file" 2>/tmp/npud-format.$$; then
		pass
	else
		fail "$file: clang-format -i would change it"
		head -n 3 /tmp/npud-format.$$
	fi
done < <(sources '*.c' '*.h')
rm -f /tmp/npud-format.$$
finish
