/* SPDX-License-Identifier: Apache-2.0 */
/* What ps, why and timeline have in common: options, and words for people. */
#ifndef NPUD_TOOLS_SHOW_H
#define NPUD_TOOLS_SHOW_H

#include <jansson.h>
#include <npu/operator.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct show_options {
	const char *socket;
	const char *output; /* NULL: standard output */
	bool json;
};

/*
 * Options of a command that knows --socket, --help and those whose letters are in `takes`: j for --json, o for
 * --output. 0, or -1 with *code set when there is no more to do; arguments start at optind.
 */
int show_options_parse(int argc, char **argv, const char *command, const char *usage, const char *takes,
		       struct show_options *options, int *code);

/* NULL after it has said why. */
struct npu_connection *show_connect(const char *command, const struct show_options *options);

/* Takes `root`, which may be NULL; the exit code, after it has said why. */
int show_json(const char *command, const char *path, json_t *root);

const char *show_class(enum npu_class class_of);
const char *show_status(enum npu_device_status status);
#define SHOW_USAGE_BYTES 768
/* "npu0: ready, drained; 3 sessions, 1 of them with 5 submissions" */
const char *show_usage(const struct npu_device_usage *usage, char *text, size_t room);
#define SHOW_BYTES 32
/* "64 KiB", "1.5 GiB": exact where it can be, else one digit after the point. */
const char *show_size(uint64_t bytes, char *text, size_t room);
/* "830 ns", "1.2 ms", "3.4 s" */
const char *show_time(uint64_t ns, char *text, size_t room);

#endif
