#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every row of attacks.tsv has a test that ran, and every attack that ran has a row.
cd "$(dirname "$0")/../.." || exit 1
. tests/hostile/lib.sh
table=tests/hostile/attacks.tsv
attacks=$(ran hostile | grep '^attack_')

while IFS=$'\t' read -r attack name; do
	if grep -qx "${name:-none}" <<<"$attacks"; then pass; else fail "$attack: ${name:-no test} did not run"; fi
done < <(rows $table)
while read -r name; do
	rows $table | cut -f2 | grep -qx "$name" || fail "$name: not in $table"
done <<<"$attacks"
printf '%d attacks ran, of %d in the table\n' "$(grep -c . <<<"$attacks")" "$(rows $table | wc -l)"
finish
