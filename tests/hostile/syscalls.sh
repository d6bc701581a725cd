#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/hostile/syscalls.sh SET: the system calls of one of systemd's sets, such as @system-service, a name a line.
set -u
declare -A seen=()
expand() # SET
{
	local entry
	[[ -z ${seen[$1]-} ]] || return 0
	seen[$1]=1
	while read -r entry; do
		case $entry in
		'' | '#'* | "$1") ;;
		@*) expand "$entry" ;;
		*) printf '%s\n' "$entry" ;;
		esac
	done < <(systemd-analyze syscall-filter "$1")
}
expand "$1" | sort -u
