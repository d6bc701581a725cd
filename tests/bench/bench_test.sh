#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The benchmark, with few repetitions: every row of the table is there once and was measured, and a goal is met or missed.
# The numbers themselves say nothing at this size and are not judged.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export BIN=${BIN:-build/release-gcc}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0
check() { # TEXT COMMAND...
	local text=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $text"
	fi
}
row() { # NAME: its own number, and a verdict at the end
	[[ $(grep -cE "^$1 +[0-9]+\.[0-9]+ .* (met|MISSED|no goal)$" "$log") == 1 ]]
}
not_in_table() { ! grep -qE "$1" "$log"; }
users_row() { # NAME: the same, or that there is only one user
	row "$1" || [[ $(grep -cE "^$1 +not measured: only root can be several users$" "$log") == 1 ]]
}
guest_row() { # NAME: the same, or the reason why there is no guest
	row "$1" || [[ $(grep -cE "^$1 +not measured: (there is no (kernel|QEMU|busybox)|a guest needs) " "$log") == 1 ]]
}

start=$SECONDS
SCALE=1 BENCH_GUEST_TIMEOUT=100 timeout -k 5 180 scripts/bench.sh >"$log" 2>&1 </dev/null
code=$?
check "the benchmark ends well (exit code $code)" test "$code" = 0
while IFS= read -r name; do
	check "the row '$name'" row "$name"
done <<'END'
idle npud, resident
npud per session, 1000 sessions
request / echo, p50
request / echo, p99
no-op job / direct \+ 1 echo, p50
no-op job / direct, p50
no-op job / direct, p99
jobs/s, depth 1 / direct
jobs/s, depth 8 / direct
jobs/s, depth 64 / direct
allocations in npud, 1000 jobs
decision / heap of 1024
decision, 64 tenants x 16 queues
npud per job, 1 of 1000 / 1
npud per job, 100 of 1000 / 1
job, 100 of 1000 / 1
hang to recovered less budget
hang to recovered less budget, worst
dead client reclaimed
dead client reclaimed, worst
hostile frame, slowest
hostile frame, memory to decode it
load / copy file to fresh memory
BlazeFace / oneDNN alone
BlazeFace / onnxruntime-web
off its share: 1 beside 20 ms jobs
beside a flood, p99 / bound
beside a flood, p50 / fifo
idle between jobs of 1 ms
idle between jobs of 100 us
END
while IFS= read -r name; do
	check "the row '$name'" users_row "$name"
done <<'END'
off its share: weights 1, 2, 4
off its share: 1 and 100 sessions
END
while IFS= read -r name; do
	check "the row '$name'" guest_row "$name"
done <<'END'
map\+unmap 4 KiB, iommufd
map\+unmap 2 MiB, iommufd
map\+unmap 4 KiB, iommufd in use
map\+unmap 2 MiB, iommufd in use
change of tenure by replace
switch, 1 GiB / 1 MiB mapped
raw switch, 1 GiB / 1 MiB mapped
map\+unmap 4 KiB, type1
map\+unmap 2 MiB, type1
interrupt to JobDone / a wake-up
\.\.\. without its registers
\.\.\. nor its client's wake-up
interrupt to JobDone / raw driver
raw driver / a wake-up
\.\.\. its registers alone
\.\.\. its message alone
npud per mapped GiB, iommufd
npud per mapped GiB, type1
END
check "no other row is without its measurement" not_in_table 'not measured: it|\b-?(nan|inf)\b'
check "the table says how many threads computed" grep -q '^threads of the software NPU .*: [0-9]' "$log"
if ((failed)); then
	cat "$log"
fi
echo "a quick benchmark takes $((SECONDS - start)) s"
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
