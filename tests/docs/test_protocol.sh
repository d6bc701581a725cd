#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# PROTOCOL.md says what npud.proto and limits.h say: every message, field, enum value and limit stands there with an equal
# number, and nothing stands there that they do not have.
# tests/docs/test_protocol.sh [PROTO LIMITS MANUAL]
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/docs/lib.sh
. tests/docs/lib.sh
proto=${1:-proto/npud.proto} limits=${2:-proto/limits.h} manual=${3:-proto/PROTOCOL.md}

# "Message field number" and "Enum value number" of the schema; "Name - -" for the object itself.
schema()
{
	sed 's|//.*||; s/[{};]/\n&\n/g' "$proto" | awk '
		/^[ \t]*(message|enum) / { name = $2; next }
		/^[ \t]*oneof / { depth_name = 1; next }
		/^[ \t]*\{/ { depth++; if (depth == 1) print name, "-", "-"; next }
		/^[ \t]*\}/ { depth--; next }
		depth >= 1 && / = [0-9]+[ \t]*$/ { print name, $(NF - 2), $NF }'
}

# The same from the headings and tables of the manual.
manual_rows()
{
	awk '
		/^#### / { name = $NF; print name, "-", "-"; next }
		/^##/ { name = ""; next }
		name != "" && /^\| [0-9]+ \| `/ { split($0, c, "|"); gsub(/[ `]/, "", c[2]); gsub(/[ `]/, "", c[3]); print name, c[3], c[2] }' "$manual"
}

# "NAME value" of the limits, computed by the shell: suffixes go, strings stay.
header_limits()
{
	sed -n 's|/\*.*||; s/^#define \(NPUD_[A-Z_]*\) \(.*[^ ]\) *$/\1 \2/p' "$limits" | while read -r name value; do
		case $value in
		\"*) printf '%s %s\n' "$name" "$value" ;;
		*)
			value=$(sed 's/\([0-9]\)[uUlL]*/\1/g' <<<"$value")
			printf '%s %s\n' "$name" "$((value))"
			;;
		esac
	done | grep -v '^NPUD_PROTO_LIMITS_H'
}

manual_limits()
{
	awk -F'|' '/^\| `NPUD_[A-Z_]*` \| / { gsub(/[ `]/, "", $2); gsub(/ /, "", $3); print $2, $3 }' "$manual"
}

compare "schema: every message, field and value stands in the manual with its number" <(schema | sort) <(manual_rows | sort)
compare "limits: every limit stands in the manual with its value" <(header_limits | sort) <(manual_limits | sort)
check "the schema was read" test "$(schema | wc -l)" -gt 150
check "the limits were read" test "$(header_limits | wc -l)" -gt 15
finish
