#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/vm/arm64_root.sh [DIR]: unpacks the arm64 libraries that npud's programs are compiled against and run with, and a
# busybox for the guest, into DIR (default: the cache), and prints DIR. They are those of the Debian that this machine
# runs, so that they fit its cross compiler; nothing is installed. A complete DIR is used as it is.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/debian.sh"
root=$(readlink -m "${1:-${XDG_CACHE_HOME:-$HOME/.cache}/npud/arm64}")
# alternatives are names of the same library in different suites
packages="libc6 libc6-dev linux-libc-dev busybox-static libevent-dev libevent-core-2.1-7t64|libevent-core-2.1-7 libjansson-dev libjansson4
	libprotobuf-c-dev libprotobuf-c1 libelf-dev libelf1t64|libelf1 zlib1g-dev zlib1g libzstd1 libpng-dev
	libpng16-16t64|libpng16-16 libjpeg62-turbo-dev libjpeg62-turbo check libsubunit-dev libsubunit0"

fail() {
	printf 'arm64_root: %s\n' "$1" >&2
	exit 1
}

suite() {
	# shellcheck disable=SC1091
	(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
}

complete() {
	# shellcheck disable=SC2086
	[[ -f $root/packages && $(<"$root/packages") == "$(suite) $(echo $packages)" ]]
}

if ! complete; then
	mkdir -p "$(dirname "$root")"
	exec {lock}>"$root.lock"
	flock "$lock"
fi
if ! complete; then
	echo "arm64_root: unpacking arm64 libraries into $root (60 MB, once; nothing is installed on this machine)" >&2
	work=$(mktemp -d "$root.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	debian_open "$work" arm64 "$(suite)" || exit 1
	wanted=()
	for names in $packages; do
		found=
		for name in ${names//|/ }; do
			if [[ -z $found && -n $(debian_version "$name") ]]; then
				found=$name
			fi
		done
		[[ -n $found ]] || fail "Debian $(suite) has no package ${names//|/ or } for arm64"
		wanted+=("$found")
	done
	debian_unpack "$work/root" "${wanted[@]}" || exit 1
	# Newer suites have everything under usr, and linker scripts that still say /lib.
	[[ -e $work/root/lib ]] || ln -s usr/lib "$work/root/lib"
	# shellcheck disable=SC2086
	echo "$(suite) "$packages >"$work/root/packages"
	rm -rf "$root"
	mv "$work/root" "$root"
fi
printf '%s\n' "$root"
