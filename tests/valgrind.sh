#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# npud under valgrind's memcheck through its whole life: start, a client that loads a model and runs it, a client that is
# killed in the middle, the counters, a clean stop. No invalid access, no use of what was never written, no leak.
set -u
cd "$(dirname "$0")/.." || exit 1
here=$PWD
real=$here/${BIN:-build/release-gcc}
work=$(mktemp -d "${TMPDIR:-/tmp}/npud-valgrind.XXXXXX")
log=$work/valgrind.log
passed=0 failed=0

# The stack starts "$BIN/npud": here that is valgrind with npud. npud counts allocations with a malloc of its own in the
# program, which valgrind has to be told to replace all the same.
BIN=$work/bin
mkdir -p "$BIN"
for program in npu-emu npucc npuctl libnpu.so.1; do ln -s "$real/$program" "$BIN/$program"; done
cat >"$BIN/npud" <<END
#!/usr/bin/env bash
exec valgrind --quiet --log-file=$log --leak-check=full --show-leak-kinds=definite,indirect,possible \
	--errors-for-leak-kinds=definite,indirect --error-exitcode=99 --soname-synonyms=somalloc=NONE \
	--suppressions=$here/tests/valgrind.supp $real/npud "\$@"
END
chmod +x "$BIN/npud"
# shellcheck source=scripts/stack.sh
. scripts/stack.sh
trap 'stack_stop; rm -rf "$work"' EXIT

check()
{
	local what=$1
	shift
	if "$@" >"$work/out" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAILED: %s\n' "$what"
		tail -n 15 "$work/out"
	fi
}
stop_cleanly()
{
	local code=0
	kill -TERM "$STACK_NPUD" && { wait "$STACK_NPUD" || code=$?; }
	((code == 0)) || { echo "npud ended with code $code"; return 1; }
}
killed_client()
{
	"$BIN/npuctl" run "$work/model.elf" --input random --repeat 1000000 >/dev/null 2>&1 &
	local client=$!
	sleep 1
	kill -KILL $client
	wait $client 2>/dev/null
	"$BIN/npuctl" run "$work/model.elf" --input random
}
counters()
{
	# A killed client's memory comes back when its run has ended: soon, but not before the next command.
	for _ in {1..100}; do
		"$BIN/npuctl" stats >"$work/stats" || return 1
		awk '$1 == "sessions" { sessions = $2 } $1 == "buffers" { buffers = $2 }
		     END { exit !(sessions == 1 && buffers == 0) }' "$work/stats" && return 0
		sleep 0.1
	done
	cat "$work/stats"
	return 1
}
silent()
{
	cat "$log"
	[[ -e $log && ! -s $log ]]
}

model=/usr/share/libonnx-testdata/data/node/test_relu/model.onnx
check 'a model for the test' "$BIN/npucc" "$model" -o "$work/model.elf"
check 'npu-emu and npud start' stack_start 3
check 'npud runs under valgrind' grep -q valgrind /proc/$STACK_NPUD/maps
check 'a client runs a model' "$BIN/npuctl" run "$work/model.elf" --input random --repeat 20
check 'a client runs a model after another was killed' killed_client
check 'nothing of them is left' counters
check 'npud stops when told to' stop_cleanly
check 'valgrind found nothing' silent
printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
((failed == 0))
