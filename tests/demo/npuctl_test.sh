#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# npuctl, as a person would use it, against a running npud: every kind of input, outputs, percentiles, and one clear line
# for every mistake.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

export BIN=${BIN:-build/release-gcc}
. scripts/stack.sh
work=$(mktemp -d)
finish() {
	stack_stop || true
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM
export TMPDIR=$work/tmp
mkdir -p "$TMPDIR"
passed=0 failed=0 code=0

check() { # TEXT CONDITION...
	local text=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $text (exit code $code)"
		sed 's/^/    /' "$work/log" "$work/errors"
	fi
}

npuctl() { # ARGUMENT...
	timeout -k 5 120 "$BIN/npuctl" "$@" >"$work/log" 2>"$work/errors" </dev/null
	code=$?
}

says() { # PATTERN
	((code == 0)) && grep -q -- "$1" "$work/log"
}

# One line on standard error, nothing on standard output, no temporary file.
refuses() { # CODE PATTERN
	((code == $1)) && [[ $(wc -l <"$work/errors") == 1 ]] && grep -q -- "$2" "$work/errors" && [[ ! -s $work/log ]] &&
		[[ -z $(find "$TMPDIR" -name 'npuctl.*') ]]
}

if ! stack_start 3; then
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi
relu=/usr/share/libonnx-testdata/data/node/test_relu/model.onnx
model=$(scripts/fetch.sh blazeface-back)
photo=$(scripts/fetch.sh sample-photo)
"$BIN/npucc" "$model" -o "$work/blazeface.elf" || exit 1

npuctl --help
check "the help names every command" says 'info'
npuctl run --help
check "each command explains itself" says '--repeat N'
npuctl --version
check "it says its version" says "npuctl $(cat VERSION)"
npuctl
check "no command is wrong usage" test "$code" = 2
npuctl dance
check "an unknown command is named" refuses 2 "no command 'dance'"
npuctl info
check "info counts the NPUs" says 'npud serves 1 NPU'
check "info says what it is" says 'ready, Zhouyi V3'
npuctl stats
check "stats counts this session" says '^sessions  *[1-9]'
check "stats knows its own size" says '^resident_bytes  *[1-9]'
npuctl maps
if [[ $(id -u) == 0 ]]; then
	check "maps shows this session" says '^session [1-9][0-9]*: .* (this npuctl), user 0 (root), window [1-7]$'
	npuctl maps --json
	check "maps is one object for programs" says '^  "sessions": \['
	npuctl maps --session 123456
	check "a session that is not there is named" refuses 1 'session 123456: there is no such session'
else
	check "maps is for who has the right" refuses 1 'needs the right "maps"'
fi
npuctl ps
check "ps shows this session and the totals" says '^all [1-9][0-9]* session'
npuctl ps --json
check "ps is one object for programs" says '^  "sessions": \['
check "ps tells programs which NPU takes work" says '"drained": false'
npuctl drain npu0 --timeout 60
check "an idle NPU is drained at once" says '^npu0: ready, drained; [0-9]* session'
npuctl ps
check "ps shows that it is drained" says '^  *npu0: ready, drained; '
npuctl info
check "info shows it, too" says '^  *npu0: ready, drained; '
npuctl run "$relu" --input random
check "a drained NPU takes no work" refuses 1 'npu0 is drained and takes nothing new: .*npuctl resume'
npuctl drain 0 --timeout 0
check "to drain it again is no error, and its index is a name" says '^npu0: ready, drained'
npuctl reset npu0
check "a reset says which it was" says '^npu0: reset 1: its own reset, [0-9.]* [mu]*s$'
npuctl resume npu0
check "it takes work again" says '^npu0: takes work$'
npuctl registers npu0
check "registers are printed by name, with their parts" says '^CLUSTER0_CONFIG *0x0c00  0x[0-9a-f]*  present=1 cores='
npuctl registers 0 --json
check "registers are one object for programs" says '"name": "TSM_STATUS"'
for verb in drain resume reset registers; do
	npuctl "$verb"
	check "$verb wants a device" refuses 2 'takes one device'
	npuctl "$verb" npu7
	check "$verb names a device that is not there" refuses 1 "no NPU 'npu7'"
	npuctl "$verb" npu0 --socket "$work/none.sock"
	check "$verb names an npud that is not there" refuses 1 'cannot reach npud'
done
npuctl drain npu0 --timeout soon
check "a timeout is a number" refuses 2 '--timeout takes seconds'
npuctl resume npu0 --timeout 1
check "resume does not wait" refuses 2 'has no --timeout'
npuctl why 1:0x100000001
check "a submission that is not there is named" refuses 1 'session 1 has no submission 0x100000001'

# Relu leaves its own result alone: once through random numbers, then through what came out, by way of .npy and raw bytes.
npuctl run "$relu" --input random:7 --output "$work/one"
check "an ONNX model is compiled and run" says '^1 run in '
check "the output is a .npy file" test -s "$work/one/y.npy"
npuctl run "$relu" --input "x=$work/one/y.npy" --output "$work/two"
check "a .npy file is an input" cmp -s "$work/one/y.npy" "$work/two/y.npy"
tail -c 240 "$work/one/y.npy" >"$work/x.bin"
npuctl run "$relu" --input "0=$work/x.bin" --output "$work/three"
check "raw bytes are an input, and a number is a name" cmp -s "$work/one/y.npy" "$work/three/y.npy"
npuctl run "$relu" --input random:8 --output "$work/four"
check "another seed gives another output" test -s "$work/four/y.npy" -a "$(cmp -s "$work/one/y.npy" "$work/four/y.npy" && echo same)" = ""
npuctl run "$relu" --input random
check "without a folder it prints the outputs" says "^output 'y' .*3x4x5): from 0 to "

# A picture is placed as the demo places it, so that both see the same tensor.
"$BIN/faces" --photo "$photo" --dump-input "$work/input.npy"
npuctl run "$work/blazeface.elf" --input "$photo" --range -1,1 --output "$work/photo"
check "a picture is an input" says '^1 run in '
npuctl run "$work/blazeface.elf" --input "$work/input.npy" --output "$work/tensor"
check "a picture becomes the same tensor as in the demo" diff -q -r "$work/photo" "$work/tensor"
npuctl run "$work/blazeface.elf" --input random --repeat 20
check "repeating prints percentiles" says 'p50 .*p90 .*p99 .*max '
check "there is no progress bar outside a terminal" test ! -s "$work/errors"
# 64 K of what a terminal shows is enough; the run takes longer than the second after which the bar appears.
script -qec "$BIN/npuctl run $work/blazeface.elf --input random --repeat 600" "$work/log" >/dev/null 2>&1
check "on a terminal a long run shows a progress bar" grep -q ' of 600, ' "$work/log"

npuctl run "$work/blazeface.elf"
check "an input without a value is named" refuses 1 'input .*1x256x256x3.* has no value'
npuctl run "$work/blazeface.elf" --input nose=random
check "an unknown input is named, and what there is" refuses 1 'no such input; it has .*1x256x256x3'
npuctl run "$work/blazeface.elf" --input "$work/one/y.npy"
check "a wrong shape is named" refuses 1 'y.npy holds float32 3x4x5'
npuctl run "$work/blazeface.elf" --input "$work/x.bin"
check "a wrong size is named" refuses 1 'x.bin has 240 bytes, the tensor 786432'
npuctl run "${relu/test_relu/test_exp_example}" --input "$photo"
check "a tensor that is no picture is named" refuses 1 'a picture needs'
npuctl run "$work/nowhere.elf" --input random
check "a missing model is named" refuses 1 'nowhere.elf.*No such file'
npuctl run "$work/nowhere.onnx" --input random
check "a missing ONNX model is named" refuses 1 'nowhere.onnx: No such file'
npuctl run "$work/x.bin" --input random
check "a file that is no model is named" refuses 1 'x.bin: '
cp "$work/x.bin" "$work/x.onnx"
npuctl run "$work/x.onnx" --input random
check "npucc's refusal fails the run" test "$code" = 1
npuctl run "$relu" --input random:seven
check "a bad seed is named" refuses 1 'random:SEED'
npuctl run "$relu" --input "$work/none.npy"
check "a missing input file is named" refuses 1 'none.npy: No such file'
head -c 100 "$work/one/y.npy" >"$work/short.npy"
npuctl run "$relu" --input "$work/short.npy"
check "a truncated .npy file is refused" refuses 1 'short.npy: '
npuctl run "$relu" --input random --repeat 0
check "a bad number is wrong usage" refuses 2 '--repeat is a number'
npuctl run "$relu" --input random --output /proc/nowhere
check "an output folder that cannot be made is named" grep -q "/proc/nowhere: " "$work/errors"
npuctl run "$work/blazeface.elf" --shape x=1x2 --input random
check "--shape is for ONNX models" refuses 1 '--shape is for ONNX'
npuctl info --socket "$work/none.sock"
check "an npud that is not there is named" refuses 1 'cannot reach npud'
npuctl stats --socket "$work/none.sock"
check "the same for stats" refuses 1 'cannot reach npud'
npuctl maps --socket "$work/none.sock"
check "the same for maps" refuses 1 'cannot reach npud'
npuctl ps 7
check "ps takes options alone" refuses 2 'takes no arguments'
npuctl ps -o x
check "ps has no output" refuses 2 'has no option -o'
for name in '' 1 1: :1 0:1 1:0 1:2:3 1:x; do
	npuctl why "$name"
	check "'$name' is no submission" refuses 2 'takes SESSION:SUBMISSION'
done
npuctl timeline -o /nowhere/trace.json
check "a trace that cannot be written is an error" refuses 1 'cannot write /nowhere/trace.json'
npuctl maps --session x
check "a session is a number" refuses 2 '--session is the number'
npuctl maps 7
check "maps takes options alone" refuses 2 'takes no arguments'

check "npud and the software NPU end well" stack_stop
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
