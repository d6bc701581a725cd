#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The demo, as a person would run it: what it finds agrees with an independent runtime, it fails when the NPU is cut off or
# the picture is bad, says why in one line, and leaves neither a process nor a file behind.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

export BIN=${BIN:-build/release-gcc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OUT=$work/out TMPDIR=$work/tmp
mkdir -p "$OUT" "$TMPDIR"
passed=0 failed=0
code=0

check() { # TEXT CONDITION...
	local text=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $text"
		sed 's/^/    /' "$work/log"
	fi
}

demo() { # VARIABLE=VALUE...
	env "$@" timeout -k 10 120 scripts/demo.sh >"$work/log" 2>&1 </dev/null
	code=$?
}

failed_with() { # PATTERN: exit code 1, one line of the demo and one of the program that says it
	((code == 1)) && grep -q "$1" "$work/log" && ! grep -q 'face 1:' "$work/log"
}

nothing_left() {
	[[ -z $(ls -A "$TMPDIR") ]] && ! pgrep -f "$work/tmp" >/dev/null
}

succeeded() {
	((code == 0)) && grep -q '^time: .*load .*submit .*device .*read-back' "$work/log" && grep -q 'compile: ' "$work/log"
}

three_faces() {
	[[ $(grep -c '^face [123]: score 0\.[0-9]*, box ' "$work/log") == 3 ]] && [[ $(grep -c '^face ' "$work/log") == 3 ]]
}

golden_faces() {
	"$BIN/tests/demo/faces_match" "$OUT/faces.json" tests/golden/faces.json >>"$work/log" 2>&1
}

picture_written() {
	[[ -s $OUT/faces.png ]] && [[ $(head -c 8 "$OUT/faces.png" | od -An -tx1 | tr -d ' \n') == 89504e470d0a1a0a ]]
}

demo DEMO_CUT=
check "the demo succeeds and says where the time went" succeeded
check "it finds three faces" three_faces
check "boxes and scores agree with the independent runtime" golden_faces
check "it writes the picture" picture_written
check "it leaves nothing behind" nothing_left

# The annotated picture is a photograph like any other, and a PNG at that.
if [[ -s $OUT/faces.png ]]; then cp "$OUT/faces.png" "$work/again.png"; else : >"$work/again.png"; fi
demo PHOTO="$work/again.png"
check "a PNG is as good as a JPEG" three_faces

"$BIN/tests/demo/make_picture" gradient "$work/gradient.jpg"
demo PHOTO="$work/gradient.jpg"
check "a picture without a face says so and fails" failed_with 'no face found in .*gradient.jpg'
check "nothing is left after no face" nothing_left

demo DEMO_CUT=device
check "without a device in the configuration the demo fails" failed_with 'FAILED'
check "nothing is left after a missing device" nothing_left
demo DEMO_CUT=emulator
check "with the software NPU stopped the demo fails" failed_with 'FAILED'
check "it says that the NPU is gone" failed_with 'faces: .*\(gone\|offline\|cannot\|failed\|lost\)'
check "nothing is left after the software NPU went away" nothing_left

bad() { # TEXT PATTERN FILE
	demo PHOTO="$3"
	check "$1" failed_with "faces: .*$2"
}
: >"$work/empty.jpg"
bad "an empty file is named" 'the file is empty' "$work/empty.jpg"
echo 'not a picture' >"$work/text.jpg"
bad "a text file is named" 'neither a JPEG nor a PNG' "$work/text.jpg"
head -c 3000 "$work/gradient.jpg" >"$work/short.jpg"
bad "a truncated JPEG is named" 'not a usable JPEG' "$work/short.jpg"
head -c 3000 "$work/again.png" >"$work/short.png"
bad "a truncated PNG is named" 'not a usable PNG' "$work/short.png"
"$BIN/tests/demo/make_picture" huge "$work/huge.jpg"
bad "a huge picture is refused by its header" '65500 x 65500 pixels; the limit' "$work/huge.jpg"
"$BIN/tests/demo/make_picture" flat "$work/flat.jpg"
bad "a picture of no height is refused" 'not a usable JPEG' "$work/flat.jpg"
bad_missing() {
	demo PHOTO="$work/nowhere.jpg"
	check "a missing photograph is named" failed_with 'there is no photograph .*nowhere.jpg'
}
bad_missing
check "nothing is left after bad pictures" nothing_left

# Which way up: the gradient is 640 x 480, turned by its EXIF orientation it is 480 x 640, and so is what the network sees:
# black columns at both sides instead of black rows above and below.
"$BIN/tests/demo/make_picture" sideways "$work/sideways.jpg"
border() { # FILE: the first float of the input's middle row is the black border (-1) only if the picture is upright
	"$BIN/faces" --photo "$1" --dump-input "$work/input.npy" >"$work/log" 2>&1 &&
		[[ $(od -An -tf4 -j $((128 + 128 * 256 * 3 * 4)) -N 4 "$work/input.npy" | tr -d ' ') == -1 ]]
}
not() { ! "$@"; }
check "the EXIF orientation is obeyed" border "$work/sideways.jpg"
check "a picture without one is taken as it is" not border "$work/gradient.jpg"

# What a person types. The first run sees to it that everything is built; the second has to be quick.
make_demo() {
	local start=$EPOCHSECONDS
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL timeout -k 10 300 make demo B="$BIN" V="${V:-release}" CC="${CC:-gcc}" \
		>"$work/log" 2>&1 </dev/null
	code=$?
	seconds=$((EPOCHSECONDS - start))
}
make_demo
make_demo
check "make demo succeeds" succeeded
check "the second make demo takes at most 10 s (it took $seconds)" test "$seconds" -le 10

echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
