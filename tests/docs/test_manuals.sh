#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Manual pages agree with the code: libnpu(3) has every public function with its arguments and every outcome; a program's
# page has exactly the long options that the program takes; npud.json(5) has exactly the keys that the daemon reads.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/docs/lib.sh
. tests/docs/lib.sh
headers=(libclient/include/npu/npu.h libclient/include/npu/operator.h)
man=docs/man

# "type name(arguments)", one a line, without comments
prototypes()
{
	sed 's|/\*.*\*/||; /\/\*/,/\*\//d' "${headers[@]}" | tr '\n\t' '  ' | grep -oE '[a-z_0-9]+( [a-z_0-9]+)* \**npu_[a-z_]+\([^()]*\);' |
		sed 's/^extern //; s/  */ /g; s/;$//; s/ \*npu/ * npu/; s/(void)/()/'
}
manual_prototypes()
{
	awk '
		/^\.Ft / { sub(/^\.Ft /, ""); type = $0 }
		/^\.Fn / && type != "" {
			line = $0; sub(/^\.Fn /, "", line)
			name = line; sub(/ .*/, "", name)
			arguments = substr(line, length(name) + 2)
			gsub(/" "/, ", ", arguments); gsub(/"/, "", arguments)
			if (arguments == "void") arguments = ""
			print type " " name "(" arguments ")"; type = ""
		}' "$man/libnpu.3"
}
compare "libnpu(3) has every public function as its headers declare it" <(prototypes | sort) <(manual_prototypes | sort)
check "the headers were read" test "$(prototypes | wc -l)" -gt 20
for name in $(sed -n '/^enum npu_outcome/,/^}/s/^\tNPU_\([A-Z_]*\) =.*/NPU_\1/p' "${headers[0]}") NPU_SOCKET NPU_HUGE_PAGES; do
	check "libnpu(3) explains $name" grep -q "$name" "$man/libnpu.3"
done

# Long options that sources take: struct option tables, or strings that start with two dashes.
options_of()
{
	grep -hoE '\{[ \t]*"[a-z][a-z-]*",[ \t]*(no|required|optional)_argument|"--[a-z][a-z-]*"' "$@" |
		grep -oE '"-*[a-z][a-z-]*"' | tr -d '"' | sed 's/^--//' | sort -u
}
options_in() { grep -oE 'Fl -[a-z][a-z-]*' "$1" | sed 's/^Fl -//' | sort -u; }
program()
{
	local page=$1
	shift
	if [[ ! -e $1 ]]; then
		fail "$page: no source $1"
		return
	fi
	compare "$page has exactly the options of $1" <(options_of "$@") <(options_in "$man/$page")
	check "$page: options were found" test "$(options_of "$@" | wc -l)" -gt 0
}
program npud.8 daemon/main.c
program npu-emu.1 emulator/main.c
program npucc.1 emulator/compiler/main.c
program npuctl.1 tools/main.c tools/control.c tools/cmd_*.c

# Keys that the configuration's tables name, and those that the page explains.
tables="daemon/config.c daemon/config_tenants.c"
choice_tables='static const struct config_choice [^;]*;'
keys_of()
{
	# shellcheck disable=SC2086
	cat $tables | tr '\n' ' ' | sed "s/$choice_tables//g" |
		grep -oE '(\{|(UINT|CHOICE|SET|OBJECT|BOOLEAN|APART)\()"[a-z_]+"[,)]' | grep -oE '"[a-z_]+"' | tr -d '"'
	grep -oE 'X\([A-Z_]+, "[a-z_]+"\)' daemon/policy/rights.h | grep -oE '"[a-z_]+"' | tr -d '"'
}
# shellcheck disable=SC2086
choices_of() { cat $tables | tr '\n' ' ' | grep -oE "$choice_tables" | grep -oE '\{"[a-z-]+", ' | grep -oE '[a-z-]+' | sort -u; }
keys_in() { sed -n 's/^\.It Va //p; s/^\.Ss //p' "$man/npud.json.5" | tr -d ' ' | tr ',' '\n'; }
compare 'npud.json(5) has exactly the keys that the daemon reads' <(keys_of | sort -u) <(keys_in | sort -u)
check 'the keys were read' test "$(keys_of | wc -l)" -gt 20
for choice in $(choices_of); do
	check "npud.json(5) has the value $choice" grep -q "Ql $choice" "$man/npud.json.5"
done

for page in "$man"/*.[1-8]; do
	name=${page##*/}
	check "$name: title, name and section agree" grep -qi "^\.Dt ${name%.*} ${name##*.}$" "$page"
	check "$name: has a NAME line" grep -q '^\.Nd ' "$page"
	check "$name: no line is too long to review" test "$(awk 'length > 200' "$page" | wc -l)" = 0
done
finish
