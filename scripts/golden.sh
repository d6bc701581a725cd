#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/golden.sh: makes the golden outputs in tests/golden anew. Needed only when a model or an input changes: the
# results are kept in the tree, so that checking needs no second runtime. Installs onnxruntime-web into a temporary
# folder; needs a built `faces` (make) for the photograph's input tensor.
set -euo pipefail
cd "$(dirname "$0")/.."

faces=${FACES:-build/release-gcc/faces}
if [[ ! -x $faces ]]; then
	echo "golden: there is no $faces; run make first, or set FACES" >&2
	exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "golden: installing onnxruntime-web 1.30.0 in $work"
npm install --silent --no-save --prefix "$work" onnxruntime-web@1.30.0 >"$work/npm.log" 2>&1 || {
	cat "$work/npm.log" >&2
	exit 1
}
photo=$(scripts/fetch.sh sample-photo)
models=()
for name in blazeface-front blazeface-back ppocr-cls ppocr-det ppocr-rec; do
	models+=("$name=$(scripts/fetch.sh $name)")
done
"$faces" --photo "$photo" --dump-input "$work/input.npy"
node scripts/golden.mjs "$work" tests/golden "$work/input.npy" 1920 1280 "${models[@]}" 2>"$work/node.log" || {
	cat "$work/node.log" >&2
	exit 1
}
