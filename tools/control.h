/* SPDX-License-Identifier: Apache-2.0 */
/* What drain, resume, reset and registers have in common: one device, named by its index or as the configuration does.
 */
#ifndef NPUD_TOOLS_CONTROL_H
#define NPUD_TOOLS_CONTROL_H

#include <npu/operator.h>
#include <stdbool.h>
#include <stdint.h>

struct control {
	const char *command;
	const char *socket;
	bool json;
	int64_t timeout_ns; /* NPU_WAIT_FOREVER unless the options say otherwise */
	struct npu_connection *connection;
	uint32_t index;
	struct npu_device_usage usage; /* as it was found */
};

/*
 * Options --socket, --help and those whose letters are in `takes` (j for --json, t for --timeout), then the device:
 * connects and looks for it. 0, or -1 with *code set when there is no more to do.
 */
int control_open(struct control *control, int argc, char **argv, const char *usage, const char *takes, int *code);

/* Disconnects. The exit code: with a negative `error` it says why first. */
int control_close(struct control *control, int error);

#endif
