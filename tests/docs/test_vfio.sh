#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the pages say about devices of the kernel's VFIO is what the code has: events of the log, exit codes, rungs, errnos
# with a remedy, the names by which an NPU is known, the numbers of a change of session.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/docs/lib.sh
. tests/docs/lib.sh
man=docs/man

# "device.ready" and the like, with the macro's own example left out
events_of() { cat daemon/*.c daemon/*/*.c | tr '\n\t' '  ' | grep -oE '(log_event|log_peer_event)\([^"]*"[a-z]+\.[a-z_]+"' | grep -oE '[a-z]+\.[a-z_]+"' | tr -d '"' | sort -u; }
events_in() { sed -n '/^\.Sh LOG/,/^\.Sh SIGNALS/p' "$man/npud.8" | grep -E '^\.(It )?Ql ' | grep -oE '[a-z]+\.[a-z_]+' | sort -u; }
compare 'npud(8) has exactly the events that the daemon logs' <(events_of) <(events_in)
check 'events were read' test "$(events_of | wc -l)" -gt 12

codes_of() { grep -oE '^	EXIT_[A-Z_]+ = [0-9]+' daemon/daemon.h | grep -oE '[0-9]+$' | sort -n; }
codes_in() { sed -n '/^\.Sh EXIT STATUS/,$p' "$man/npud.8" | sed -n 's/^\.It \([0-9]*\)$/\1/p' | sort -n; }
compare 'npud(8) has exactly the exit codes of the daemon' <(codes_of) <(codes_in)

while read -r rung; do
	[[ $rung == offline ]] || check "npud(8) has the rung $rung" grep -q "^\.It $rung" "$man/npud.8"
done < <(sed -n '/recovery_rung_name(enum/,/^}/p' daemon/policy/recovery.c | grep -oE '"[a-z ]+"' | tr -d '"' | grep -v '^done$')

mapping() { sed -n '/^### Mapping/,/^###* Reset/p' docs/vfio.md; }
for errno in $(sed -n '/^void vfio_map_advice/,/^}/p' daemon/vfio/locked_memory.c | grep -oE '\-E[A-Z]+' | tr -d -- - | sort -u); do
	check "docs/vfio.md has what to do about $errno" grep -q "^| .*$errno" <(mapping)
done
check 'errnos were read' test "$(mapping | grep -c '^| E')" -gt 4

for name in 0x1200 armchina, zhouyi CIXH4000; do
	for file in tools/host.c systemd/npud.rules docs/hardware/platform.md; do
		check "$file has the name $name" grep -q "$name" "$file"
	done
done

# "#define NAME (16ull << 20)" as MiB or KiB
number() { sed -n "s/^#define $2 (\(.*\))$/\1/p" "$1" | tr -d 'ul'; }
check 'the size of a piece' grep -q "at most $((($(number daemon/vfio/kernel_window.h IOMMU_PIECE_BYTES)) >> 20)) MiB at a time" docs/vfio.md
check 'the size of a piece of the arena' grep -q "pieces of $((($(number daemon/core/address_space.h ARENA_PIECE_BYTES)) >> 10)) KiB" docs/vfio.md
check 'the number of entries' grep -q "$(sed -n 's/^#define DEFAULT_ENTRIES \([0-9]*\)\([0-9]\{3\}\)u/\1 \2/p' daemon/vfio/iommu_type1.c)" docs/vfio.md
check 'the longest pause' grep -q "up to $(sed -n 's/^#define RETRY_LAST_NS (\([0-9]*\) .*/\1/p' daemon/core/device_life.c) s" docs/vfio.md
finish
