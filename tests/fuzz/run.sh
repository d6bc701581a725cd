#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzzer for FUZZ_SECONDS (30), two at a time, from the seeds in the tree and what earlier runs found
# (build/fuzz/corpus). A crash, leak, hang or undefined behaviour fails; the input stays in build/fuzz/crashes.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset MAKEFLAGS MFLAGS MAKELEVEL
seconds=${FUZZ_SECONDS:-30}
bin=build/fuzz-clang/tests/fuzz
crashes=build/fuzz/crashes
passed=0 failed=0

mkdir -p build/fuzz "$crashes"
if ! make -j2 V=fuzz CC=clang fuzz-programs >build/fuzz/build.log 2>&1; then
	tail -n 30 build/fuzz/build.log
	echo 'FAILED: the fuzzers do not build'
	echo '0 passed, 1 failed, 0 skipped'
	exit 1
fi

fuzz_one()
{
	local name=$1 corpus=build/fuzz/corpus/$1 seeds=tests/fuzz/seeds/$1 log=build/fuzz/$1.log dictionary=()
	mkdir -p "$corpus"
	[[ -e tests/fuzz/$name.dict ]] && dictionary=(-dict="tests/fuzz/$name.dict")
	ASAN_OPTIONS=abort_on_error=0:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 \
		"$bin/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
		-artifact_prefix="$crashes/$name-" "${dictionary[@]}" "$corpus" "$seeds" >"$log" 2>&1
}

names=()
for source in tests/fuzz/fuzz_*.c; do
	name=${source##*/fuzz_}
	names+=("${name%.c}")
done
declare -A job
for name in "${names[@]}"; do
	while (($(jobs -rp | wc -l) >= 2)); do wait -n; done
	fuzz_one "$name" &
	job[$name]=$!
done
for name in "${names[@]}"; do
	wait "${job[$name]}"
	code=$?
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$name.log")
	if ((code == 0 && ${runs:-0} > 0)); then
		passed=$((passed + 1))
		printf 'fuzz %s: %s inputs in %s s, nothing found\n' "$name" "$runs" "$seconds"
	else
		failed=$((failed + 1))
		printf 'FAILED: fuzz %s: exit code %d; inputs in %s\n' "$name" "$code" "$crashes"
		tail -n 40 "build/fuzz/$name.log"
	fi
done
printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
((failed == 0))
