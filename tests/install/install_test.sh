#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make install into a temporary folder, as a packager does it: everything is there, the README's client compiles, links
# and starts against it, npud takes the installed configuration, and one that somebody has changed stays. $B, $V and $CC
# are those of the build.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR PREFIX

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$work/log
passed=0 failed=0
check() { # TEXT COMMAND...
	local text=$1
	shift
	if "$@" >"$log" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $text"
		tail -n 20 "$log"
	fi
}

install_to() { # FOLDER MAKE-VARIABLE...
	local to=$1
	shift
	make --no-print-directory V="${V:-release}" CC="${CC:-gcc}" ${B:+B="$B"} DESTDIR="$to" "$@" install
}

sed -n '/^```c$/,/^```$/p' README.md | grep -v '^```' >"$work/client.c"
# Compiles and links against what was installed and against nothing else; an empty search path keeps the build folder out.
client() { # ROOT PREFIX LIBRARY-FOLDER PKG-CONFIG-OPTION...
	local root=$1 prefix=$2 lib=$3 flags said linked
	shift 3
	flags=$(PKG_CONFIG_PATH=$lib/pkgconfig pkg-config "$@" --cflags --libs libnpu) || return 1
	echo "flags: $flags"
	[[ $flags == *"-L$lib"* && $flags == *"-I$root$prefix/include"* ]] || return 1
	# shellcheck disable=SC2086
	"${CC:-gcc}" -Wall -Wextra -Werror "$work/client.c" $flags -o "$work/client" || return 1
	# It starts with the installed library, finds no npud, and says so.
	said=$(LD_LIBRARY_PATH=$lib NPU_SOCKET=$work/none.sock "$work/client" model.elf 2>&1)
	linked=$(LD_LIBRARY_PATH=$lib ldd "$work/client")
	echo "$said"
	echo "$linked"
	[[ $said == *"$work/none.sock"* && $linked == *"libnpu.so.1 => $lib/libnpu.so.1"* ]]
}
starts() { # PROGRAM OPTION WORD
	[[ $(LD_LIBRARY_PATH=$lib "$root/usr/bin/$1" "$2") == *"$3"* ]]
}
no_run_path() { ! readelf -d "$root"/usr/bin/* "$lib/libnpu.so.1" | grep -E 'RPATH|RUNPATH'; }
# The manager's own reader: it complains about a key that it does not know, and takes the unit nevertheless.
units_read_well() {
	mkdir -p "$work/units"
	sed "s|^ExecStart=|&$root|" "$root/usr/lib/systemd/system/npud.service" >"$work/units/npud.service"
	cp "$root/usr/lib/systemd/system/npud.socket" "$work/units"
	local said
	said=$(systemd-analyze verify --man=no "$work"/units/npud.{service,socket} 2>&1) || return 1
	echo "$said"
	[[ -z $said ]]
}
same_files() { diff <(cd "$root" && find . ! -type d | sort) <(sort); }

root=$work/root
check "make install" install_to "$root"
multiarch=$("${CC:-gcc}" -print-multiarch 2>/dev/null)
sub=lib${multiarch:+/$multiarch}
lib=$root/usr/$sub
check "exactly what belongs there is installed" same_files <<END
./etc/npud/npud.json
./usr/bin/npu-emu
./usr/bin/npucc
./usr/bin/npuctl
./usr/bin/npud
./usr/include/npu/npu.h
./usr/include/npu/operator.h
./usr/$sub/libnpu.so
./usr/$sub/libnpu.so.1
./usr/$sub/pkgconfig/libnpu.pc
./usr/lib/systemd/system/npud.service
./usr/lib/systemd/system/npud.socket
./usr/lib/sysusers.d/npud.conf
./usr/lib/tmpfiles.d/npud.conf
./usr/lib/udev/rules.d/60-npud.rules
./usr/share/man/man1/npu-emu.1
./usr/share/man/man1/npucc.1
./usr/share/man/man1/npuctl.1
./usr/share/man/man3/libnpu.3
./usr/share/man/man5/npud.json.5
./usr/share/man/man7/npud-security.7
./usr/share/man/man8/npud.8
./usr/share/npud/npud.schema.json
END
for program in npud npu-emu npuctl; do
	check "the installed $program starts" starts "$program" --version "$(cat VERSION)"
done
check "the installed npucc starts" starts npucc --help npucc
check "nothing that is installed looks for libraries where it lies" no_run_path
check "the client in README.md builds with pkg-config and starts" client "$root" /usr "$lib" \
	--define-variable=prefix="$root/usr"
check "pkg-config knows the version" test \
	"$(PKG_CONFIG_PATH=$lib/pkgconfig pkg-config --modversion libnpu)" = "$(cat VERSION)"
check "pkg-config knows the place" test "$(PKG_CONFIG_PATH=$lib/pkgconfig pkg-config --variable=libdir libnpu)" = "/usr/$sub"
check "systemd has nothing to say against the units" units_read_well
check "npud takes the installed configuration" "$root/usr/bin/npud" --config "$root/etc/npud/npud.json" --check-config

echo '{"devices": [{"name": "mine", "path": "/run/mine.sock"}]}' >"$root/etc/npud/npud.json"
check "make install a second time" install_to "$root"
check "a configuration that is there stays" grep -q '"mine"' "$root/etc/npud/npud.json"

root=$work/local
check "make install with another prefix and a plain library folder" install_to "$root" PREFIX=/opt/npud MULTIARCH=
lib=$root/opt/npud/lib
check "the client builds there, too" client "$root" /opt/npud "$lib" --define-prefix
check "the unit starts the program of that prefix" grep -q '^ExecStart=/opt/npud/bin/npud --config /etc/npud/npud.json$' \
	"$lib/systemd/system/npud.service"

echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
