#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/bench_fair.sh: the rows of the table about who gets how much of a device and when. Starts two software NPUs whose
# jobs take as long as their work says, and an npud for each: one with the policy `fair`, one with `fifo`. $SCALE is the
# per cent of the usual time.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/stack.sh

trap 'stack_stop || true' EXIT
trap 'exit 130' INT TERM

# Users that tests/bench/fair/fair.h counts; the last three have the weights 1, 2 and 4.
tenants() {
	local i weights=(100 100 100 200 400) separator=
	for i in "${!weights[@]}"; do
		printf '%s{"name": "bench%d", "match": {"users": [%d]}, "weight": %d}' "$separator" "$i" $((61000 + i)) "${weights[i]}"
		separator=', '
	done
}

side_start() { # POLICY: the sockets are named after it
	local emu=$STACK_DIR/$1-emu.sock npud=$STACK_DIR/$1.sock
	stack_run "$STACK_DIR/$1-emu.log" "$BIN/npu-emu" --socket "$emu" --time computed &
	STACK_PIDS+=($!)
	stack_wait_for "$emu" $! npu-emu "$STACK_DIR/$1-emu.log"
	cat >"$STACK_DIR/$1.json" <<-END
		{"socket": {"path": "$npud", "mode": "0666"}, "scheduler": {"policy": "$1"},
		 "devices": [{"name": "npu0", "transport": "vfio-user", "path": "$emu"}],
		 "default_tenant": {"classes": ["high", "normal", "idle"]}, "tenants": [$(tenants)]}
	END
	stack_run "$STACK_DIR/$1.log" "$BIN/npud" --config "$STACK_DIR/$1.json" &
	STACK_PIDS+=($!)
	stack_wait_for "$npud" $! npud "$STACK_DIR/$1.log"
}

stack_dir
chmod 711 "$STACK_DIR"
side_start fair
side_start fifo
"$BIN/tests/bench/fair/bench_fair" "$STACK_DIR/fair.sock" "$STACK_DIR/fifo.sock" "${SCALE:-100}"
