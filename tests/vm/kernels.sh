#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/vm/kernels.sh [x86_64|arm64|stock]...: makes sure that these kernels for guests are there (default: all of them)
# and prints one path a line: x86_64 and arm64 are kernels of our own, stock is the folder of Debian's cloud kernel with
# vmlinuz, release and modules/. With --missing it only says which of them would have to be built or fetched.
#
# Our own are looked for in $VM_KERNELS and in the cache, as vmlinux-*-x86_64 and Image-*-arm64, with or without .xz. If
# there is none it is built from Debian's newest kernel source with tests/vm/*.config: once, in the cache, 6 to 9 minutes
# on two processors. VM_KERNELS_STOP=configured ends a build as soon as its first objects are compiled.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/debian.sh"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/npud/kernels
stop=${VM_KERNELS_STOP:-}
work=

fail() {
	printf 'kernels: %s\n' "$1" >&2
	exit 1
}

say() {
	printf 'kernels: %s\n' "$1" >&2
}

# Only what the fragments can switch on is unpacked; the Kconfig files of everything refer to one another.
unpack_source() { # TARBALL DIR ARCH
	local keep=$3 skip=() arch dir
	for arch in alpha arc arm csky hexagon loongarch m68k microblaze mips nios2 openrisc parisc powerpc riscv s390 sh \
		sparc um xtensa arm64 x86; do
		[[ $arch == "$keep" ]] || skip+=("--exclude=*/arch/$arch/*.[chS]" "--exclude=*/arch/$arch/*.dts*")
	done
	for dir in drivers/gpu/drm drivers/media drivers/staging drivers/infiniband drivers/scsi drivers/usb drivers/iio \
		drivers/net/wireless drivers/net/ethernet drivers/mtd drivers/hid drivers/video/fbdev \
		drivers/accel drivers/hwmon drivers/md drivers/isdn sound fs/btrfs fs/xfs fs/ext4 fs/f2fs \
		fs/smb fs/bcachefs fs/ocfs2 fs/ntfs3 fs/gfs2; do
		skip+=("--exclude=*/$dir/*.[ch]")
	done
	mkdir -p "$2"
	tar -xJf "$1" -C "$2" --strip-components=1 "${skip[@]}" --exclude='*/Documentation/*' --exclude='*/tools/testing/*' \
		--exclude='*/tools/perf/*'
	mkdir -p "$2/Documentation"
	touch "$2/Documentation/Kconfig"
}

configure() { # SOURCE FRAGMENT MAKE...
	local source=$1 fragment=$2 option
	shift 2
	"$@" tinyconfig >"$work/configure.log" 2>&1 || return 1
	(cd "$source" && scripts/kconfig/merge_config.sh -m .config "$fragment") >>"$work/configure.log" 2>&1 || return 1
	"$@" olddefconfig >>"$work/configure.log" 2>&1 || return 1
	# The options that the tests are about must have survived; which others exist depends on the version.
	for option in $(sed -n 's/^\(CONFIG_\(VFIO\|IOMMUFD\|VIRTIO_IOMMU\|INTEL_IOMMU\|BLK_DEV_INITRD\)[A-Z0-9_]*\)=y$/\1/p' \
		"$fragment"); do
		grep -qx "$option=y" "$source/.config" || {
			echo "$option is not in the configuration" >>"$work/configure.log"
			return 1
		}
	done
}

build() { # x86_64|arm64
	local arch=$1 name target result strip=strip make=(make) source version tool
	for tool in gcc flex bison bc xz; do
		command -v "$tool" >/dev/null || fail "there is no $tool: scripts/setup.sh check installs what building a kernel needs"
	done
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/build.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	debian_open "$work/apt" amd64 trixie trixie-backports || exit 1
	name=$(debian_names 'linux-source-[0-9.]*' | tail -n 1)
	[[ -n $name ]] || fail "there is no kernel source in Debian's suites"
	version=${name#linux-source-}
	say "building Linux $version for $arch from Debian's $name: once, some minutes; the result is kept in $cache"
	debian_unpack "$work/deb" "$name" || exit 1
	source=$work/linux
	unpack_source "$work/deb/usr/src/$name.tar.xz" "$source" "$([[ $arch == arm64 ]] && echo arm64 || echo x86)"
	rm -rf "$work/deb" "$work/apt"
	make=(make -C "$source" "-j$(nproc)" ARCH="$arch" KBUILD_BUILD_USER=npud KBUILD_BUILD_HOST=guest)
	target=vmlinux result=vmlinux
	if [[ $arch == arm64 ]]; then
		command -v aarch64-linux-gnu-gcc >/dev/null || fail "there is no aarch64-linux-gnu-gcc (scripts/setup.sh check)"
		make+=(CROSS_COMPILE=aarch64-linux-gnu-)
		strip=aarch64-linux-gnu-strip
		target=Image result=arch/arm64/boot/Image
	fi
	# make's own variables are for our Makefile, not for the kernel's
	unset MAKEFLAGS MFLAGS MAKELEVEL CC LD AR V CFLAGS CPPFLAGS LDFLAGS
	configure "$source" "$here/$arch.config" "${make[@]}" || {
		tail -n 20 "$work/configure.log" >&2
		fail "Linux $version cannot be configured for $arch"
	}
	if [[ $stop == configured ]]; then
		"${make[@]}" init/ >"$work/build.log" 2>&1 || {
			tail -n 20 "$work/build.log" >&2
			fail "Linux $version does not begin to compile for $arch"
		}
		say "Linux $version for $arch is configured and compiles (stopped here)"
		rm -rf "$work"
		return 0
	fi
	"${make[@]}" "$target" >"$work/build.log" 2>&1 || {
		grep -E -e 'error|No rule|Error [0-9]' "$work/build.log" | head -n 20 >&2
		fail "Linux $version does not compile for $arch"
	}
	if [[ $result == vmlinux ]]; then
		"$strip" -s "$source/vmlinux"
	fi
	mv "$source/$result" "$cache/$target-$version-$arch"
	rm -rf "$work"
	trap - EXIT
}

newest() { # PATTERN: the newest of ours, $VM_KERNELS first
	local dir found
	for dir in "${VM_KERNELS:-}" "$cache"; do
		[[ -n $dir && -d $dir ]] || continue
		found=$(find "$dir" -maxdepth 1 \( -name "$1" -o -name "$1.xz" \) | sort -V | tail -n 1)
		if [[ -n $found ]]; then
			echo "$found"
			return 0
		fi
	done
}

own() { # x86_64|arm64
	local pattern='vmlinux-*-x86_64' found plain
	if [[ $1 == arm64 ]]; then
		pattern='Image-*-arm64'
	fi
	found=$(newest "$pattern")
	if [[ -z $found || -n $stop ]]; then
		build "$1" >&2
		found=$(newest "$pattern")
	fi
	if [[ $found == *.xz ]]; then
		plain=$cache/$(basename "$found" .xz)
		if [[ ! -f $plain || $found -nt $plain ]]; then
			mkdir -p "$cache"
			xz -dc "$found" >"$plain.$$"
			mv "$plain.$$" "$plain"
		fi
		found=$plain
	fi
	[[ -z $found ]] || echo "$found"
}

# Debian's own, for machines in the cloud. The modules are unpacked and decompressed, so that insmod needs nothing else.
stock() {
	local found image packages module release dir
	found=$(find "$cache" -maxdepth 1 -name 'stock-*' 2>/dev/null | sort -V | tail -n 1)
	if [[ -z $found ]]; then
		mkdir -p "$cache"
		work=$(mktemp -d "$cache/build.XXXXXX")
		trap 'rm -rf "$work"' EXIT
		debian_open "$work/apt" amd64 trixie trixie-backports || exit 1
		image=$(debian_names 'linux-image-[0-9.]*+deb[0-9]*-cloud-amd64' | tail -n 1)
		[[ -n $image ]] || fail "there is no cloud kernel in Debian's suites"
		release=${image#linux-image-}
		say "unpacking Debian's $image into $cache (once)"
		# Newer ones come in several packages: the kernel, its modules.
		mapfile -t packages < <(apt-cache "${DEBIAN_APT[@]}" depends "$image" |
			sed -n "s/^ *Depends: \(linux-[a-z]*-${release//+/[+]}\)$/\1/p")
		debian_unpack "$work/deb" "$image" "${packages[@]}" || exit 1
		dir=$work/stock
		mkdir -p "$dir/modules"
		cp "$(find "$work/deb" -name 'vmlinuz*' -type f | head -n 1)" "$dir/vmlinuz"
		for module in irqbypass vfio vfio_iommu_type1 vfio-pci-core vfio-pci; do
			found=$(find "$work/deb" -name "$module.ko*" | head -n 1)
			case $found in
			*.xz) xz -dc "$found" >"$dir/modules/$module.ko" ;;
			*.ko) cp "$found" "$dir/modules/$module.ko" ;;
			*) say "$image has no module $module: built in" ;;
			esac
		done
		echo "$release" >"$dir/release"
		found=$cache/stock-$release
		mv "$dir" "$found"
		rm -rf "$work"
		trap - EXIT
	fi
	say "the stock kernel is Debian's $(<"$found/release")"
	echo "$found"
}

if [[ ${1-} == --missing ]]; then
	[[ -n $(newest 'vmlinux-*-x86_64') ]] || echo "Linux for x86-64 is built from Debian's source (6 minutes)"
	[[ -n $(newest 'Image-*-arm64') ]] || echo "Linux for arm64 is built from Debian's source (9 minutes)"
	[[ -n $(find "$cache" -maxdepth 1 -name 'stock-*' 2>/dev/null) ]] || echo "Debian's cloud kernel is unpacked"
	exit 0
fi
(($#)) || set -- x86_64 arm64 stock
# One at a time: two checks that start together must not both build.
mkdir -p "$cache"
exec {lock}>"$cache/.lock"
flock "$lock"
for kind in "$@"; do
	case $kind in
	x86_64 | arm64) own "$kind" ;;
	stock) stock ;;
	*)
		echo "kernels: unknown kernel '$kind' (x86_64, arm64 or stock)" >&2
		exit 2
		;;
	esac
done
