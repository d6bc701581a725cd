#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make check: everything, in the order in which a mistake is cheapest to find. Each part prints its seconds and its closing
# line "N passed, N failed, N skipped"; the last line adds them up. A part that dies, or closes with no such line, is a
# failure. Nothing is left out silently: a part that cannot run fails.
#   tests/check.sh            all parts
#   tests/check.sh lint fuzz  these parts
#   tests/check.sh --list     their names
set -u
cd "$(dirname "$0")/.." || exit 1
unset MAKEFLAGS MFLAGS MAKELEVEL
logs=build/check
mkdir -p "$logs"

# name | what runs
parts='
setup|scripts/setup.sh check
build|make -j2 all unit-programs test-programs
lint|make lint
unit|make -j2 unit
unit-asan|make -j2 V=asan unit
unit-tsan|make -j2 V=tsan unit-threads
sim|make -j2 sim
docs|make docs-check
tools|make tools-test
integration|make integration
hostile|make hostile
hazards|make hazards
integration-asan|make V=asan integration
integration-tsan|make V=tsan integration
valgrind|make valgrind
qemu|make qemu
uapi|make uapi-test
vm|make -j2 vm-check
golden|make golden
demo|make demo-test
install|make install-test
bench|make bench-test
conformance|make conformance
fuzz|make fuzz
fuzz-coverage|make fuzz-coverage
'

if [[ ${1-} == --list ]]; then
	cut -d'|' -f1 <<<"$parts" | grep .
	exit 0
fi
passed=0 failed=0 skipped=0
broken=()
begin=$SECONDS
while IFS='|' read -r name command; do
	[[ -n $name ]] || continue
	if (($#)) && [[ " $* " != *" $name "* ]]; then continue; fi
	printf '== %s: %s\n' "$name" "$command"
	if [[ $name == qemu && ! -x ${XDG_CACHE_HOME:-$HOME/.cache}/npud/qemu/qemu ]]; then
		echo "   once: Debian's QEMU 11 is unpacked into ${XDG_CACHE_HOME:-$HOME/.cache}/npud/qemu; nothing is installed"
	fi
	if [[ $name == vm ]]; then
		tests/vm/kernels.sh --missing | sed 's/^/   once: /; s/$/, kept in the cache/'
	fi
	start=$SECONDS
	$command >"$logs/$name.log" 2>&1 </dev/null
	code=$?
	line=$(grep -aE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$logs/$name.log" | tail -n 1)
	if [[ $name == setup || $name == build ]]; then
		# They test nothing; they only have to succeed.
		line='0 passed, 0 failed, 0 skipped'
	fi
	if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
		if ((code != 0 && BASH_REMATCH[2] == 0)); then failed=$((failed + 1)); fi
	else
		failed=$((failed + 1))
		line="no closing line (exit code $code)"
	fi
	if ((code != 0)) || [[ $line == no* ]]; then
		broken+=("$name")
		printf -- '-- %s failed, the end of %s:\n' "$name" "$logs/$name.log"
		tail -n 60 "$logs/$name.log"
	fi
	printf '== %s: %s, %d s\n' "$name" "$line" $((SECONDS - start))
done <<<"$parts"
# Who sees only the end of a long log still has to see what failed.
for name in "${broken[@]}"; do
	printf -- '-- what failed in %s:\n' "$name"
	grep -aE ':[FE]:|^(--- |FAIL|not ok|error:|skipped )|: error:|\*\*\*' "$logs/$name.log" | cut -c1-300 | head -n 30
done
((${#broken[@]})) && printf 'failed: %s\n' "${broken[*]}"
printf '== all: %d s\n' $((SECONDS - begin))
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0))
