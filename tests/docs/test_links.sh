#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the pages point at exists: links, files of the tree, targets of make, switches; and each switch has its row.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/docs/lib.sh
. tests/docs/lib.sh

mapfile -t pages < <(find README.md proto docs emulator tests daemon -name '*.md' | sort)
for page in "${pages[@]}"; do
	folder=$(dirname "$page")
	while read -r link; do
		check "$page links to $link" test -e "$folder/$link"
	done < <(grep -oE '\]\([^)]*\)' "$page" | sed 's/^](//; s/)$//; s/#.*//' | grep -vE '^(https?:|$)' | sort -u)
	# files named in code spans, with a folder of this tree in front
	while read -r file; do
		check "$page names $file" test -e "$file"
	done < <(grep -oE '`(proto|daemon|libclient|emulator|tools|tests|docs|config|systemd|scripts)/[A-Za-z0-9_./-]*`' "$page" | tr -d '`' | sort -u)
	while read -r target; do
		check "$page: make $target exists" grep -qE "^([a-z-]+ )*$target( [a-z-]+)*:" Makefile
	done < <(grep -oE '(`|^)make [a-z][a-z-]*' "$page" | sed 's/.*make //' | sort -u)
done

quirks()
{
	sed -n '/^struct npu_quirks {/,/^}/p' daemon/npu/npu.h | sed 's|/\*.*||' | tr '\n\t' '  ' | grep -oE '[a-z_0-9]+ *;' | tr -d ' ;' | sort -u
}
check "the quirks were read" test "$(quirks | wc -l)" -gt 0
for quirk in $(quirks); do
	check "docs/hardware/unverified.md has the switch $quirk" grep -q "\`$quirk\`" docs/hardware/unverified.md
	check "npud.json(5) has the switch $quirk" grep -q "$quirk" docs/man/npud.json.5
done
# The loader's rules and the files that break them.
rules() { sed -n '/^## Malformed files/,$p' docs/hardware/executable.md | sed -n 's/^| \([0-9][0-9]*\) | .*/\1/p' | sort -un; }
broken() { grep -oE 'row_[0-9]+_' tests/malformed/rows.h | tr -dc '0-9\n' | sort -un; }
compare 'every rule of the loader has a malformed file, and the reverse' <(rules | sort) <(broken | sort)
check 'rules were read' test "$(rules | wc -l)" -gt 30

# Pages of the hardware keep a mark on every table of facts.
for page in registers sequences interrupts tcb memory executable; do
	check "docs/hardware/$page.md points at the marks" grep -q 'README.md' "docs/hardware/$page.md"
done
finish
