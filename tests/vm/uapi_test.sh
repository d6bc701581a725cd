#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/vm/uapi_test.sh: daemon/vfio/uapi.h says what newer kernel headers say. Debian's newest linux-libc-dev is unpacked
# into the cache (nothing is installed). Every number and every member that our header declares becomes a line of a C
# file, which is compiled twice, once with each; each line that both print alike is a pass, and a name that the kernel's
# headers do not know is a failure.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/vm/debian.sh
cache=${XDG_CACHE_HOME:-$HOME/.cache}/npud
root=$cache/linux-headers
compiler=${CC:-gcc}
passed=0 failed=0

fail() {
	failed=$((failed + 1))
	printf 'FAILED: %s\n' "$1"
}

finish() {
	printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
	exit $((failed != 0))
}

work=$(mktemp -d)
unpacked=
trap 'rm -rf "$work" ${unpacked:+"$unpacked"}' EXIT

# Built beside its place and moved there at the end: an interrupted run leaves nothing half done.
headers_unpack() {
	mkdir -p "$cache"
	unpacked=$(mktemp -d "$root.XXXXXX")
	debian_open "$work/apt" amd64 trixie trixie-backports || return 1
	debian_unpack "$unpacked/root" linux-libc-dev || return 1
	debian_version linux-libc-dev >"$unpacked/root/version"
	[[ -e $unpacked/root/usr/include/linux/iommufd.h ]] || return 1
	rm -rf "$root"
	mv "$unpacked/root" "$root"
}

# Our header as a table: VALUE(number), SIZE(struct), AT(struct, member), with the width of members that have one.
# Padding has other names elsewhere.
table() {
	awk '
	/^#define (VFIO|IOMMU)_/ { print "VALUE(" $2 ")" }
	/^struct [a-z0-9_]+ {/ { type = $2; print "SIZE(" type ")" }
	/^}/ { type = "" }
	type != "" && /^\t.*;/ {
		sub(/;.*/, "")
		name = $NF
		if (name ~ /^(reserved|reserved2|pad)$/)
			next
		print (sub(/\[\]$/, "", name) ? "START(" : "AT(") type ", " name ")"
	}' daemon/vfio/uapi.h
}

{
	cat <<'CODE'
#include <stddef.h>
#include <stdio.h>
#ifdef OURS
#include "daemon/vfio/uapi.h"
#else
#include <linux/iommufd.h>
#include <linux/vfio.h>
#endif
#define VALUE(name) printf(#name "=%#llx\n", (unsigned long long)(name));
#define SIZE(type) printf("sizeof " #type "=%zu\n", sizeof(struct type));
#define START(type, member) printf(#type "." #member "=%zu\n", offsetof(struct type, member));
#define AT(type, member) \
	printf(#type "." #member "=%zu:%zu\n", offsetof(struct type, member), sizeof(((struct type *)0)->member));
int main(void)
{
CODE
	table
	echo 'return 0; }'
} >"$work/table.c"

[[ -e $root/usr/include/linux/iommufd.h ]] || headers_unpack || { fail "no newer kernel headers"; finish; }
printf 'kernel headers: linux-libc-dev %s\n' "$(cat "$root/version")"
"$compiler" -std=gnu17 -DOURS -I. -o "$work/ours" "$work/table.c" || { fail "our header"; finish; }
if ! "$compiler" -std=gnu17 -isystem "$root/usr/include" -isystem "$root/usr/include/x86_64-linux-gnu" \
	-o "$work/theirs" "$work/table.c" 2>"$work/errors"; then
	while read -r line; do fail "$line"; done < <(grep -oE 'error: .*' "$work/errors" | sort -u)
	finish
fi
"$work/ours" >"$work/ours.txt"
"$work/theirs" >"$work/theirs.txt"
while IFS=$'\t' read -r ours theirs; do
	if [[ $ours == "$theirs" ]]; then
		passed=$((passed + 1))
	else
		fail "ours: $ours, the kernel's: $theirs"
	fi
done < <(paste "$work/ours.txt" "$work/theirs.txt")
finish
