#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every known fault of the vendor's kernel driver is in hazards.tsv with what answers it here: tests that ran and passed,
# or why it cannot exist, or that it comes with a generation that is not driven yet. Unit, integration and hostile tests
# run first.
cd "$(dirname "$0")/../.." || exit 1
. tests/hostile/lib.sh
table=tests/hostile/hazards.tsv
declare -A done_of written_of
for suite in unit integration hostile; do
	done_of[$suite]=$(ran $suite)
	written_of[$suite]=$(written $suite)
done

# The rows that there have to be: isolation and safety, correctness and performance, what clients must never get.
wanted=$(printf '10.1-%d\n' {1..17}; printf '10.2-%d\n' {1..28}; printf 'A6-%d\n' {1..10})
[[ $(rows $table | cut -f1) == "$wanted" ]] ||
	fail "$table: $(diff <(rows $table | cut -f1) <(cat <<<"$wanted") | grep '^[<>]' | head -n 3 | tr '\n' ' ')(<: too many, >: missing)"

answer() # ROW SUITE:TEST
{
	local suite=${2%%:*} name=${2#*:}
	if [[ -z ${written_of[$suite]-} ]] || ! grep -qx "$name" <<<"${written_of[$suite]}"; then
		fail "$1: there is no test $2"
	elif ! grep -qx "$name" <<<"${done_of[$suite]}"; then
		fail "$1: $2 did not run, or failed: make $suite"
	else
		pass
	fi
}

while IFS=$'\t' read -r row words answers; do
	case $answers in
	'cannot exist here: '?* | 'comes with that generation: '?*) pass ;;
	*:*) for one in $answers; do answer "$row" "$one"; done ;;
	*) fail "$row ($words): no answer" ;;
	esac
done < <(rows $table)
finish
