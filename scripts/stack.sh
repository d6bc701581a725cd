# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# scripts/stack.sh: to be sourced. Starts a software NPU and npud in a private run directory and stops them again.
#   stack_start [CORES]   sets STACK_DIR and NPU_SOCKET; returns 1 with one clear line on standard error
#   stack_stop            stops what stack_start started, and removes the directory; safe to call at any time
# BIN names the folder of the programs. Only processes started here are ever signalled, by their ids.

BIN=${BIN:-build/release-gcc}
STACK_DIR=
STACK_PIDS=()
STACK_NPUD_PREFIX=() # words before the program, as in: taskset -c 1
STACK_NPUD_MEMBERS= # more of the configuration, each with a comma before it
STACK_EMU_OPTIONS=() # more options of the software NPU, as in: --threads 2
STACK_NPUD=
STACK_EMU=

# A daemon that dies while we wait must end the wait, not the patience.
stack_wait_for() { # SOCKET PID NAME LOG
	local i
	for ((i = 0; i < 500; i++)); do
		# 00010000: the kernel's mark of a socket that listens; that the name exists says less.
		if awk -v path="$1" '$8 == path && $4 == "00010000" { found = 1 } END { exit !found }' /proc/net/unix; then
			return 0
		fi
		if ! kill -0 "$2" 2>/dev/null; then
			echo "$3 ended before it was ready: $(tail -n 1 "$4")" >&2
			stack_forget "$2"
			return 1
		fi
		sleep 0.02
	done
	echo "$3 was not ready within 10 s: $(tail -n 1 "$4")" >&2
	return 1
}

# Should the script itself be killed, the kernel ends what it started.
stack_run() { # LOG PROGRAM ARGUMENT...
	local log=$1
	shift
	if command -v setpriv >/dev/null; then
		exec setpriv --pdeathsig TERM -- "$@" >"$log" 2>&1 </dev/null
	fi
	exec "$@" >"$log" 2>&1 </dev/null
}

# Its end has been seen and reported.
stack_forget() { # PID
	local pid rest=()
	for pid in "${STACK_PIDS[@]}"; do
		if [[ $pid != "$1" ]]; then
			rest+=("$pid")
		fi
	done
	STACK_PIDS=("${rest[@]}")
}

stack_dir() {
	STACK_DIR=$(mktemp -d "${TMPDIR:-/tmp}/npud.XXXXXX")
	chmod 700 "$STACK_DIR"
	export NPU_SOCKET=$STACK_DIR/npud.sock
}

stack_emu_start() { # [CORES]
	stack_run "$STACK_DIR/npu-emu.log" "$BIN/npu-emu" --socket "$STACK_DIR/emu.sock" --model x2 --cores "${1:-3}" \
		"${STACK_EMU_OPTIONS[@]}" &
	STACK_EMU=$!
	STACK_PIDS+=("$STACK_EMU")
	stack_wait_for "$STACK_DIR/emu.sock" "$STACK_EMU" npu-emu "$STACK_DIR/npu-emu.log"
}

# The configuration names the device that stack_emu_start serves (emulator), or none at all (none).
stack_npud_start() { # emulator|none
	local devices='{"name": "npu0", "transport": "vfio-user", "path": "'$STACK_DIR'/emu.sock"}'
	if [[ $1 == none ]]; then
		devices=
	fi
	printf '{"socket": {"path": "%s"}, "devices": [%s]%s}\n' "$NPU_SOCKET" "$devices" "$STACK_NPUD_MEMBERS" >"$STACK_DIR/npud.json"
	stack_run "$STACK_DIR/npud.log" "${STACK_NPUD_PREFIX[@]}" "$BIN/npud" --config "$STACK_DIR/npud.json" &
	STACK_NPUD=$!
	STACK_PIDS+=("$STACK_NPUD")
	stack_wait_for "$NPU_SOCKET" "$STACK_NPUD" npud "$STACK_DIR/npud.log"
}

stack_start() { # [CORES]
	stack_dir
	stack_emu_start "$@" && stack_npud_start emulator
}

# Asks first (SIGTERM), and insists after three seconds. Returns the exit code.
stack_end() { # PID
	local _
	kill -TERM "$1" 2>/dev/null || true
	for _ in {1..150}; do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.02
	done
	kill -KILL "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null
}

stack_emu_stop() {
	stack_end "$STACK_EMU" || true
	stack_forget "$STACK_EMU"
}

# What does not end well when asked to (a crash, a sanitizer's finding) makes stack_stop return 1 and shows its log.
stack_stop() {
	local i log code result=0
	for ((i = ${#STACK_PIDS[@]} - 1; i >= 0; i--)); do
		code=0
		stack_end "${STACK_PIDS[i]}" || code=$?
		if ((code != 0 && code != 143)); then
			log=npu-emu.log
			if [[ ${STACK_PIDS[i]} == "$STACK_NPUD" ]]; then
				log=npud.log
			fi
			echo "${log%.log} ended with exit code $code:" >&2
			tail -n 40 "$STACK_DIR/$log" >&2
			result=1
		fi
	done
	STACK_PIDS=()
	if [[ -n $STACK_DIR ]]; then
		rm -rf "$STACK_DIR"
		STACK_DIR=
	fi
	return "$result"
}
