#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/vm/initramfs.sh ARCH OUT [--modules DIR] [--program FILE]... [--put FILE=PATH]... [--test NAME=COMMAND]...
# Writes the first file system of a guest (x86_64 or arm64): busybox, tests/vm/init and guest.sh, the programs with the
# libraries that they need in /npu, files at the paths given, kernel modules, and the list of tests that init runs.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")

fail() {
	printf 'initramfs: %s\n' "$1" >&2
	exit 1
}

(($# >= 2)) || fail "usage: initramfs.sh ARCH OUT [options]"
arch=$1 out=$2
shift 2
tree=$(mktemp -d)
chmod 755 "$tree"
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{bin,sbin,dev,proc,sys,tmp,npu,etc,run,lib,modules}
: >"$tree/tests"

case $arch in
x86_64)
	strip=strip
	busybox=$(command -v busybox) || fail "there is no busybox (scripts/setup.sh check installs it)"
	libraries=(/lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu /lib64 /lib /usr/lib)
	;;
arm64)
	strip=aarch64-linux-gnu-strip
	root=$("$here/arm64_root.sh")
	busybox=$(find "$root/bin" "$root/usr/bin" -name busybox 2>/dev/null | head -n 1)
	libraries=("$root/lib/aarch64-linux-gnu" "$root/usr/lib/aarch64-linux-gnu" "$root/lib")
	;;
*) fail "unknown architecture '$arch' (x86_64 or arm64)" ;;
esac
if readelf -lW "$busybox" | grep -q INTERP; then
	fail "$busybox needs libraries: busybox-static is wanted (scripts/setup.sh check installs it)"
fi

# What a program needs, and what that needs: beside the program, or where the architecture keeps its libraries.
add_libraries() { # FILE
	local name dir found
	for name in $(readelf -dW "$1" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
		[[ -e $tree/npu/$name ]] && continue
		found=
		for dir in "$(dirname "$1")" "${libraries[@]}"; do
			if [[ -z $found && -f $dir/$name ]]; then
				found=$dir/$name
			fi
		done
		[[ -n $found ]] || fail "$1 needs $name, which is nowhere"
		"$strip" -o "$tree/npu/$name" "$found"
		add_libraries "$found"
	done
}

add_program() { # FILE
	local loader
	[[ -f $1 ]] || fail "there is no program $1"
	"$strip" -o "$tree/npu/$(basename "$1")" "$1"
	add_libraries "$1"
	loader=$(readelf -lW "$1" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
	if [[ -n $loader && ! -e $tree$loader ]]; then
		mkdir -p "$tree$(dirname "$loader")"
		for dir in "${libraries[@]}"; do
			if [[ -f $dir/$(basename "$loader") && ! -e $tree$loader ]]; then
				cp -L "$dir/$(basename "$loader")" "$tree$loader"
			fi
		done
		[[ -e $tree$loader ]] || fail "$1 needs the loader $loader, which is nowhere"
	fi
}

put() { # FILE PATH
	[[ -r $1 ]] || fail "there is no file $1"
	mkdir -p "$tree$(dirname "$2")"
	cp -L "$1" "$tree$2"
}

while (($#)); do
	case $1 in
	--modules) cp "$2"/*.ko "$tree/modules/" ;;
	--program) add_program "$2" ;;
	--put) put "${2%%=*}" "${2#*=}" ;;
	--test) printf '%s|%s\n' "${2%%=*}" "${2#*=}" >>"$tree/tests" ;;
	*) fail "unknown option '$1'" ;;
	esac
	shift 2
done

cp "$busybox" "$tree/bin/busybox"
chmod 755 "$tree/bin/busybox"
ln -s busybox "$tree/bin/sh"
cp "$here/init" "$tree/init"
cp "$here/guest_lib.sh" "$tree/guest.sh"
chmod 755 "$tree/init"
printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >"$tree/etc/passwd"
printf 'root:x:0:\nnpu:x:100:\nnogroup:x:65534:\n' >"$tree/etc/group"
# not compressed: a guest that is emulated unpacks it faster than it decompresses
(cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) >"$out.part"
mv "$out.part" "$out"
