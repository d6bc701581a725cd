#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Programs, library and every test program build without a warning with both compilers (warnings are errors in the
# Makefile). What gcc makes here is what later parts use; clang only has to read, so it does not optimise.
. "$(dirname "$0")/lib.sh"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

builds() { # ARGUMENT...: of make
	if make -j2 "$@" >"$log" 2>&1; then
		pass
	else
		fail "make $*"
		grep -E 'error|Error' "$log" | head -n 30
	fi
}
builds CC=gcc all unit-programs test-programs
builds CC=clang V=warn objects
finish
