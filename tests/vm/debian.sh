# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# tests/vm/debian.sh: to be sourced. Packages of other Debian suites and architectures: they come from the mirror that
# this machine's own apt uses, are checked against Debian's keyring and are unpacked somewhere, never installed.
#   debian_open WORK ARCH SUITE...   reads the package lists of the suites into WORK; the last suite is preferred
#   debian_names PATTERN             the names of packages that match (a basic regular expression for the whole name)
#   debian_version PACKAGE           the version that debian_unpack would take
#   debian_unpack ROOT PACKAGE...    downloads these packages and unpacks them into ROOT
# Each returns 1 with one clear line on standard error.

DEBIAN_WORK=
DEBIAN_APT=()
DEBIAN_PREFER=

debian_fail() {
	printf '%s: %s\n' "$(basename "$0" .sh)" "$1" >&2
	return 1
}

debian_open() { # WORK ARCH SUITE...
	local work=$1 arch=$2 mirror suite
	shift 2
	command -v apt-get >/dev/null || debian_fail "there is no apt-get on this machine" || return 1
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
	[[ -n $mirror ]] || debian_fail "apt has no package mirror configured on this machine" || return 1
	mkdir -p "$work"/{lists/partial,cache/archives/partial,debs}
	: >"$work/status"
	for suite in "$@"; do
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
	done >"$work/sources.list"
	DEBIAN_WORK=$work
	DEBIAN_PREFER=${*: -1}
	DEBIAN_APT=(-qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::Etc::preferencesparts=/dev/null -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache"
		-o Dir::State::status="$work/status" -o APT::Architecture="$arch" -o APT::Architectures="$arch"
		-o APT::Default-Release="$DEBIAN_PREFER" -o Acquire::Languages=none -o Acquire::Retries=2
		-o APT::Sandbox::User=root -o Debug::NoLocking=1)
	apt-get "${DEBIAN_APT[@]}" update >&2 ||
		debian_fail "cannot read the package lists of $* ($arch) from this machine's mirror"
}

debian_names() { # PATTERN
	apt-cache "${DEBIAN_APT[@]}" pkgnames | grep -x -- "$1" | sort -V
}

debian_version() { # PACKAGE
	apt-cache "${DEBIAN_APT[@]}" policy "$1" | sed -n 's/^ *Candidate: //p'
}

debian_unpack() { # ROOT PACKAGE...
	local root=$1 deb
	shift
	rm -rf "$DEBIAN_WORK/debs"
	mkdir -p "$root" "$DEBIAN_WORK/debs"
	(cd "$DEBIAN_WORK/debs" && apt-get "${DEBIAN_APT[@]}" -t "$DEBIAN_PREFER" download "$@") >&2 ||
		debian_fail "cannot download from this machine's mirror: $*" || return 1
	for deb in "$DEBIAN_WORK"/debs/*.deb; do
		dpkg-deb -x "$deb" "$root"
	done
	rm -rf "$DEBIAN_WORK/debs"
}
