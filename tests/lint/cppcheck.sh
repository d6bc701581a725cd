#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cppcheck over every program file; suppressions stand in the code with their reason.
. "$(dirname "$0")/lib.sh"
mkdir -p build/lint/cppcheck
# Only what the code itself decides: headers of libraries are not read (missingInclude), and a branch that no build takes
# is not code (--max-configs). The checks for uninitialised variables are off: this version does not
# see that a function or recvmsg() fills what a pointer leads to; both compilers, clang's analyzer and valgrind do. It
# cannot read hexadecimal floats either (incorrectLogicOperator in one file).
if programs | cppcheck --quiet -j2 --error-exitcode=1 --inline-suppr --std=c11 --enable=warning,performance,portability \
	--suppress=missingInclude --suppress=missingIncludeSystem --suppress=ctuuninitvar \
	--suppress=uninitvar --suppress=uninitStructMember --suppress=incorrectLogicOperator:emulator/ops/resize.c \
	--max-configs=1 --cppcheck-build-dir=build/lint/cppcheck \
	-I. -Ilibclient/include -D_GNU_SOURCE -D__linux__ -DNPUD_VERSION='"0"' --file-list=- --template=gcc 2>&1; then
	passed=$(programs | wc -l)
else
	fail "cppcheck"
fi
finish
