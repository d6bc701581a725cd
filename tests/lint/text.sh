#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What every file promises: a licence line, a length one can read, nothing left to do, no host of a package registry, no
# place of the machine it was written on.
. "$(dirname "$0")/lib.sh"

everything()
{
	find . \( -path ./.git -o -path ./build -o -path ./tests/fuzz/seeds -o -name node_modules \) -prune -o -type f -print |
		sed 's|^\./||' | sort
}

# Written in pieces, so that this file does not contain what it forbids.
hosts='registry\.npm''js|npm''js\.org|pyp''i\.org|python''hosted|crates''\.io|deb\.deb''ian|security\.deb''ian|ftp\.[a-z.]*deb''ian|archive\.ubun''tu|go''lang\.org|proxy\.go''lang|rubygem''s\.org|maven''\.org|hugging''face|docker''\.io|npm''mirror'
left='TO''DO|FIX''ME|\bXX''X\b|\bHA''CK\b'
places='/wor''k/|/tm''p/brief|localhost:[0-9]'

while read -r file; do
	grep -Iq . "$file" || continue # binary or empty
	ok=1
	case $file in
	*.c | *.h | *.sh | *.proto | *.map | Makefile | *.mk | .clang-tidy | .ci/run | tests/run.sh | docs/man/*)
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || { ok=0; fail "$file: no SPDX line"; }
		;;
	esac
	case $file in
	*.c | *.h | *.sh)
		lines=$(wc -l <"$file")
		limit=600
		[[ $file == tests/* ]] && limit=1000 # a suite is a list of promises, not one subject
		((lines <= limit)) || { ok=0; fail "$file: $lines lines, at most $limit"; }
		;;
	esac
	case $file in
	LICENSE | *.json | *.svg) ;;
	*)
		if found=$(grep -nE "$left" "$file"); then ok=0; fail "$file: left to do: ${found:0:120}"; fi
		if found=$(grep -nE "$places" "$file"); then ok=0; fail "$file: names a place of one machine: ${found:0:120}"; fi
		;;
	esac
	if found=$(grep -niE "$hosts" "$file"); then ok=0; fail "$file: names a package registry: ${found:0:120}"; fi
	((ok)) && pass
done < <(everything)
finish
