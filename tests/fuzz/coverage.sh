#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Line coverage of the executable reader over the fuzzer's seeds and the malformed files: at least 95 %. Lines that only a
# failing allocation reaches do not count; they are named by their text.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset MAKEFLAGS MFLAGS MAKELEVEL
goal=95
out=${COV_BUILD:-build/cov-gcc}
work=build/fuzz/coverage

die()
{
	printf 'FAILED: %s\n0 passed, 1 failed, 0 skipped\n' "$*"
	exit 1
}
mkdir -p "$work"
make -j2 V=cov CC=gcc B="$out" "$out"/tests/fuzz/fuzz_elf "$out"/tests/fuzz/make_seeds "$out"/tests/malformed/generate >"$work/build.log" 2>&1 || {
	tail -n 20 "$work/build.log"
	die 'the coverage build failed'
}
# The seeds in the tree are what the program writes.
rm -rf "$work/seeds" && mkdir -p "$work/seeds"
"$out"/tests/fuzz/make_seeds "$work/seeds" || die 'make_seeds failed'
for kind in "$work"/seeds/*/; do
	kind=$(basename "$kind")
	for file in "$work/seeds/$kind"/*; do
		cmp -s "$file" "tests/fuzz/seeds/$kind/$(basename "$file")" || die "tests/fuzz/seeds/$kind/$(basename "$file") is not what make_seeds writes"
	done
done

rm -rf "$work/malformed" && mkdir -p "$work/malformed"
"$out"/tests/malformed/generate "$work/malformed" || die 'the malformed files cannot be written'

find "$out"/libclient -name '*.gcda' -delete
mapfile -t files < <(find tests/fuzz/seeds/elf "$work/malformed" -type f | sort)
((${#files[@]} > 0)) || die 'no files'
"$out"/tests/fuzz/fuzz_elf "${files[@]}" || die 'the replay failed'
for source in libclient/elf_*.c; do
	gcov --stdout "$out/${source%.c}.gcda" 2>/dev/null
done >"$work/report"
awk -F: -v goal="$goal" -v count="${#files[@]}" '
	$3 == "Source" && $2 + 0 == 0 { file = $4; sub(/.*\//, "", file); counted = $4 ~ /libclient\/elf_[a-z]*\.c$/; next }
	{
		hits = $1; gsub(/ /, "", hits); text = $0; sub(/^[^:]*:[^:]*:/, "", text)
		# what only a failing allocation reaches
		if (!counted || hits == "-" || text ~ /ENOMEM|out of memory/) next
		lines[file]++; total++
		if (hits ~ /^(#####|=====)/) { missed[file]++; all++; if (shown++ < 40) printf "not covered: %s:%d:%s\n", file, $2, text }
	}
	END {
		for (f in lines) printf "%-20s %5.1f %% of %d lines\n", f, 100 * (lines[f] - missed[f]) / lines[f], lines[f]
		if (total < 100) { print "gcov reported nothing"; print "0 passed, 1 failed, 0 skipped"; exit 1 }
		percent = 100 * (total - all) / total
		printf "executable reader: %.1f %% of %d lines over %d files, %d %% wanted\n", percent, total, count, goal
		if (percent >= goal) { print "1 passed, 0 failed, 0 skipped"; exit 0 }
		print "0 passed, 1 failed, 0 skipped"; exit 1
	}' "$work/report"
