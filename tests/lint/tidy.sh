#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-tidy over every program file, two at a time. A file whose preprocessed text and rules have not changed since it
# was clean is not looked at again (build/lint/tidy).
# tests/lint/tidy.sh [FILE...]
#
# Nine tenths of the time is the analyzer's, most of it in functions with so many paths that it gives up at its limit of
# 225000 states. A lower limit saves most of it, and every check still looks at every function. To search deeper:
# NODES=225000 tests/lint/tidy.sh
if [[ ${1-} == --one ]]; then
	file=$2
	flags=(-std=gnu17 -D_GNU_SOURCE -I. -Ibuild/gen -Ilibclient/include -DNPUD_VERSION='"0"')
	paths=(-Xclang -analyzer-config -Xclang max-nodes="${NODES:-60000}")
	mkdir -p build/lint/tidy
	sum=$({ cat .clang-tidy; echo "${paths[@]}"; clang "${flags[@]}" -E "$file" 2>/dev/null || cat "$file"; } | sha256sum)
	stamp=build/lint/tidy/${sum%% *}
	if [[ ! -e $stamp ]]; then
		if out=$(clang-tidy --quiet "$file" -- "${flags[@]}" "${paths[@]}" 2>&1); then
			: >"$stamp"
		else
			grep -vE '^[0-9]+ warnings|^Suppressed|^Use -header-filter|warnings? treated as errors?' <<<"$out"
			echo "DIRTY $file"
			exit 0
		fi
	fi
	echo "CLEAN $file"
	exit 0
fi
self=$(readlink -f "$0")
. "$(dirname "$0")/lib.sh"
make -s build/gen/npud.pb-c.h build/gen/onnx.pb-c.h || fail "generated headers"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ if (($#)); then printf '%s\n' "$@"; else programs; fi; } | xargs -P2 -n1 "$self" --one >"$log"
grep -v '^CLEAN ' "$log"
passed=$(grep -c '^CLEAN ' "$log")
failed=$((failed + $(grep -c '^DIRTY ' "$log")))
finish
