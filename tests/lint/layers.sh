#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Includes go down only. One line per folder: what its files may include with quotes, as a regular expression.
# tests/lint/layers.sh [ROOT]
. "$(dirname "$0")/lib.sh"
cd "${1:-.}" || exit 1

# folder | may include
rules='
daemon/util|daemon/util/|proto/limits\.h
daemon/policy|daemon/(policy|util)/
daemon/vfio|daemon/(vfio|util)/|proto/
daemon/npu|daemon/(npu|vfio|util)/|proto/
daemon/core|daemon/log\.h|daemon/(core|policy|npu|vfio|util)/|proto/|npud\.pb-c\.h
daemon/wire|daemon/log\.h|daemon/(wire|core|util)/|proto/|npud\.pb-c\.h
daemon|daemon/|proto/|npud\.pb-c\.h
libclient|libclient/|proto/|npud\.pb-c\.h|npu/npu\.h
emulator/ops|emulator/(ops/|isa\.h)|proto/
emulator/compiler|emulator/(compiler/|isa\.h|ops/ops\.h)|proto/|onnx\.pb-c\.h
emulator|emulator/(ops/|[a-z_0-9]+\.h)|proto/
tools|tools/|proto/zhouyi_regs\.h|libclient/include/npu/npu\.h|npu/(npu|operator)\.h|proto/limits\.h|npud\.pb-c\.h
docs/examples|docs/examples/|tools/|npu/npu\.h
proto|proto/
'
# what keeps policy pure: no I/O, no clock, no threads, no event loop
impure='<(unistd|fcntl|time|poll|pthread|signal|event2/.*|sys/.*|stdio)\.h>'

while IFS='|' read -r folder allowed; do
	[[ -n $folder ]] || continue
	depth=1
	case $folder in
	libclient | tools | docs/examples) depth=9 ;;
	esac
	while read -r file; do
		bad=$(grep -nE '^[ \t]*#[ \t]*include[ \t]*"' "$file" | grep -vE "include[ \t]*\"($allowed)")
		if [[ -z $bad ]]; then pass; else fail "$file includes what $folder may not: $bad"; fi
		if [[ $folder == daemon/policy ]] && bad=$(grep -nE "$impure" "$file"); then fail "$file is not pure: $bad"; fi
	done < <(find "$folder" -maxdepth "$depth" -type f \( -name '*.c' -o -name '*.h' \) 2>/dev/null | sort)
done <<<"$rules"
finish
