#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# in_guest.sh SCALE prepare PAGES | transport IOMMU | interrupt | memory IOMMU: inside the guest, one part of the rows.
# Starts and stops the npud that a part measures. Rows are for the host: "= " goes before each.
. /guest.sh
scale=$1 part=$2 argument=${3:-iommufd}

rows() { # ARGUMENTS...
	code=0
	bench_guest "$scale" "$@" >/tmp/rows || code=$?
	sed 's/^/= /' /tmp/rows
	return "$code"
}

case $part in
prepare)
	echo "$argument" >/proc/sys/vm/nr_hugepages
	[ "$(cat /proc/sys/vm/nr_hugepages)" = "$argument" ]
	;;
transport) rows transport "$argument" "$(npu_addresses | head -n 1)" ;;
*)
	npud_config ", \"iommu\": \"$argument\"" >/tmp/npud.json
	npud_start || exit 1
	code=0
	rows "$part" "$argument" "$NPU_SOCKET" "$(cat /tmp/npud.pid)" || code=1
	if [ "$code" = 1 ]; then
		cat /tmp/npud.log
	fi
	npud_stop && exit "$code"
	;;
esac
