#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/vm/qemu_root.sh [DIR]: unpacks QEMU 11 for x86-64 with the libraries it needs into DIR (default: the cache) and
# prints the command that runs it. Nothing is installed on the host; the packages come from the mirror that the host's
# own apt uses, in newer Debian suites, checked against Debian's keyring. A complete DIR is used as it is.
set -euo pipefail
root=$(readlink -m "${1:-${XDG_CACHE_HOME:-$HOME/.cache}/npud/qemu}")
suites="trixie trixie-backports"
packages="qemu-system-x86 qemu-system-data seabios libaio1t64 libatomic1 libblkid1 libbpf1 libc6 libcap2 libcapstone5
	libdaxctl1 libelf1t64 libfdt1 libffi8 libfuse3-4 libglib2.0-0t64 libgmp10 libgnutls30t64 libhogweed6t64 libibverbs1
	libidn2-0 libjpeg62-turbo libkmod2 libmount1 libndctl6 libnettle8t64 libnl-3-200 libnl-route-3-200 libnuma1
	libp11-kit0 libpcre2-8-0 libpixman-1-0 libpmem1 libpng16-16t64 librdmacm1t64 libsasl2-2 libseccomp2 libselinux1
	libslirp0 libssl3t64 libtasn1-6 libudev1 libunistring5 liburing2 libuuid1 libvdeplug2t64 libzstd1 zlib1g"

fail() {
	printf 'qemu_root: %s\n' "$1" >&2
	exit 1
}

if [[ ! -x $root/qemu ]]; then
	echo "qemu_root: unpacking QEMU 11 into $root (140 MB, once; nothing is installed on this machine)" >&2
	mkdir -p "$(dirname "$root")"
	# built beside its place and moved there at the end: an interrupted run leaves nothing half done
	work=$(mktemp -d "$root.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work"/{lists/partial,cache/archives/partial,debs,root}
	: >"$work/status"
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
	[[ -n $mirror ]] || fail "apt has no package mirror configured on this machine"
	for suite in $suites; do
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
	done >"$work/sources.list"
	apt=(apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::Etc::preferencesparts=/dev/null -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache"
		-o Dir::State::status="$work/status" -o APT::Architecture=amd64 -o APT::Architectures=amd64
		-o Acquire::Languages=none -o APT::Sandbox::User=root -o Debug::NoLocking=1)
	"${apt[@]}" update >&2 || fail "cannot read the package lists of $suites from this machine's mirror"
	# shellcheck disable=SC2086
	(cd "$work/debs" && "${apt[@]}" -t trixie-backports download $packages) >&2 ||
		fail "cannot download QEMU's packages from this machine's mirror"
	for deb in "$work"/debs/*.deb; do
		dpkg-deb -x "$deb" "$work/root"
	done
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
	"$work/root/qemu" x86_64 --version >&2 || fail "the unpacked QEMU does not start"
	rm -rf "$root"
	mv "$work/root" "$root"
fi
printf '%s\n' "$root/qemu"
