#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/vm/qemu_root.sh [DIR]: unpacks QEMU 11 for x86-64 and arm64 with the libraries it needs into DIR (default: the
# cache) and prints the command that runs it. Nothing is installed on the host; the packages come from the mirror that
# the host's own apt uses, in newer Debian suites, checked against Debian's keyring. A complete DIR is used as it is.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/debian.sh"
root=$(readlink -m "${1:-${XDG_CACHE_HOME:-$HOME/.cache}/npud/qemu}")
packages="qemu-system-x86 qemu-system-arm qemu-system-data seabios libaio1t64 libatomic1 libblkid1 libbpf1 libc6 libcap2
	libcapstone5 libdaxctl1 libelf1t64 libfdt1 libffi8 libfuse3-4 libglib2.0-0t64 libgmp10 libgnutls30t64
	libhogweed6t64 libibverbs1 libidn2-0 libjpeg62-turbo libkmod2 libmount1 libndctl6 libnettle8t64 libnl-3-200
	libnl-route-3-200 libnuma1 libp11-kit0 libpcre2-8-0 libpixman-1-0 libpmem1 libpng16-16t64 librdmacm1t64 libsasl2-2
	libseccomp2 libselinux1 libslirp0 libssl3t64 libtasn1-6 libudev1 libunistring5 liburing2 libuuid1 libvdeplug2t64
	libzstd1 zlib1g"
machines="x86_64 aarch64"

fail() {
	printf 'qemu_root: %s\n' "$1" >&2
	exit 1
}

# What was unpacked is what is listed here: an older cache lacks something and is renewed.
complete() {
	# shellcheck disable=SC2086
	[[ -x $root/qemu && -f $root/packages && $(<"$root/packages") == "$(echo $packages)" ]]
}

if ! complete; then
	mkdir -p "$(dirname "$root")"
	exec {lock}>"$root.lock"
	flock "$lock"
fi
if ! complete; then
	echo "qemu_root: unpacking QEMU 11 into $root (230 MB, once; nothing is installed on this machine)" >&2
	# built beside its place and moved there at the end: an interrupted run leaves nothing half done
	work=$(mktemp -d "$root.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	debian_open "$work" amd64 trixie trixie-backports || exit 1
	# shellcheck disable=SC2086
	debian_unpack "$work/root" $packages || exit 1
	cat >"$work/root/qemu" <<'RUN'
#!/bin/sh
# qemu ARCH ARGS: runs it with its own loader and libraries
root=$(dirname "$(readlink -f "$0")")
arch=$1
shift
exec "$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" \
	"$root/usr/bin/qemu-system-$arch" -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "$@"
RUN
	chmod +x "$work/root/qemu"
	# shellcheck disable=SC2086
	echo $packages >"$work/root/packages"
	for machine in $machines; do
		"$work/root/qemu" "$machine" --version >&2 || fail "the unpacked QEMU for $machine does not start"
	done
	rm -rf "$root"
	mv "$work/root" "$root"
fi
printf '%s\n' "$root/qemu"
