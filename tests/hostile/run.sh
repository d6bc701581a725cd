#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/hostile/run.sh PROGRAM...: the attacks, then whether each known one is among them. npud runs in the sandbox of its
# unit; the attackers are other users, which only root can become.
set -u
cd "$(dirname "$0")/../.." || exit 1
if ((EUID)); then
	echo "hostile: the attackers are processes of other users: run this as root"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi
export NPUD_UNIT=systemd/npud.service NPUD_LAUNCHER=$NPUD_BUILD/tests/hostile/sandbox
export NPUD_SYSCALLS=$NPUD_BUILD/tests/hostile/syscalls.list
tests/hostile/syscalls.sh "$(sed -n 's/^SystemCallFilter=//p' $NPUD_UNIT)" >"$NPUD_SYSCALLS"
# The leak checker wants to trace its process, which the sandbox does not allow; fail_call.so comes before its run time.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:verify_asan_link_order=0}
out=$(tests/run.sh hostile "$@" tests/hostile/attacks.sh)
code=$?
sed '$d' <<<"$out"
# What the sandbox comes to here.
mkdir -p "$NPUD_BUILD/tests/hostile/runtime"
"$NPUD_LAUNCHER" "$NPUD_BUILD/tests/hostile/runtime" /bin/true 2>&1
tests/hostile/attacks.sh | grep 'attacks ran'
tail -n 1 <<<"$out"
exit $code
