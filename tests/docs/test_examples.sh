#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The programs printed in README.md and libnpu(3) compile without a warning, and the JSON in npud.json(5) is JSON.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/docs/lib.sh
. tests/docs/lib.sh

compiles()
{
	local code
	code=$(cat)
	[[ $code == *main* ]] && "${CC:-cc}" -std=gnu17 -Wall -Wextra -Werror -Ilibclient/include -fsyntax-only -x c - <<<"$code"
}
check 'the client in README.md compiles' compiles < <(sed -n '/^```c$/,/^```$/p' README.md | grep -v '^```')
check 'the client in libnpu(3) compiles' compiles < <(sed -n '/^\.Bd -literal$/,/^\.Ed$/p' docs/man/libnpu.3 | grep -v '^\.[BE]d' | sed 's/\\e/\\/g')
check 'the configuration in npud.json(5) is JSON' node -e 'JSON.parse(require("fs").readFileSync(0, "utf8"))' < <(
	sed -n '/^\.Bd -literal$/,/^\.Ed$/p' docs/man/npud.json.5 | grep -v '^\.[BE]d')
lines=$(sed -n '/^```c$/,/^```$/p' README.md | grep -vc '^```')
check "the client in README.md is short ($lines lines)" test "$lines" -le 30
finish
