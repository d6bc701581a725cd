#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/setup.sh [build|check]: makes sure that the Debian packages are installed which building (build, the default) or
# building and checking (check) needs. Says what it does, asks dpkg first, and changes nothing else on the machine.
set -euo pipefail

profile=${1:-build}
packages=(gcc make pkg-config protobuf-c-compiler libc6-dev libprotobuf-c-dev libevent-dev libjansson-dev libelf-dev
	libdnnl-dev libonnx-dev libonnx-testdata check libpng-dev libjpeg-dev zlib1g-dev)
case $profile in
build) ;;
check)
	packages+=(clang libclang-rt-dev clang-tidy clang-format cppcheck valgrind procps)
	# attacks: systemd-analyze says what the unit's SystemCallFilter= means
	packages+=(systemd)
	# guests: programs for arm64, a device tree, the first file system, and kernels where none are at hand
	packages+=(gcc-aarch64-linux-gnu device-tree-compiler busybox-static cpio xz-utils bc bison flex m4)
	;;
*)
	echo "setup: unknown profile '$profile' (build or check)" >&2
	exit 2
	;;
esac
# An npm that came from elsewhere is as good as Debian's, and the two do not mix.
command -v npm >/dev/null || packages+=(nodejs npm)

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "setup: this is not a Debian system; install the equivalents of these packages yourself: ${packages[*]}" >&2
	exit 1
fi

missing() {
	dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null |
		awk -v wanted="${packages[*]}" '
			$1 == "installed" { have[$2] = 1 }
			END { n = split(wanted, w, " "); for (i = 1; i <= n; i++) if (!(w[i] in have)) print w[i] }' || true
}

mapfile -t todo < <(missing)
if ((${#todo[@]} == 0)); then
	echo "setup: all ${#packages[@]} packages are installed"
	exit 0
fi

root=()
if ((EUID != 0)); then
	if ! command -v sudo >/dev/null; then
		echo "setup: ${#todo[@]} packages are missing, and this is neither root nor is there a sudo. As root, run:" >&2
		echo "    apt-get install ${todo[*]}" >&2
		exit 1
	fi
	root=(sudo)
fi
echo "setup: installing with apt-get${root[0]:+ (through sudo)}: ${todo[*]}"
export DEBIAN_FRONTEND=noninteractive
if ! "${root[@]}" apt-get update -qq; then
	echo "setup: the package lists could not be refreshed; trying with those that are there" >&2
fi
if ! "${root[@]}" apt-get install -y -qq --no-install-recommends "${todo[@]}"; then
	echo "setup: apt-get could not install: ${todo[*]}" >&2
	exit 1
fi
mapfile -t todo < <(missing)
if ((${#todo[@]} > 0)); then
	echo "setup: still missing after the installation: ${todo[*]}" >&2
	exit 1
fi
echo "setup: done"
