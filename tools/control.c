/* SPDX-License-Identifier: Apache-2.0 */
/* Options and device of the commands that do something to one; see control.h. */
#include "tools/control.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/commands.h"

#define MAX_SECONDS 1000000000ul

/* Digits alone, and no more than `most`. */
static bool number_parse(const char *text, unsigned long most, unsigned long *out)
{
	char *end = NULL;

	errno = 0;
	*out = strtoul(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *out <= most;
}

static int timeout_parse(struct control *control, const char *text)
{
	unsigned long seconds;

	if (!number_parse(text, MAX_SECONDS, &seconds))
		return usage_error(control->command, "--timeout takes seconds");
	control->timeout_ns = (int64_t)seconds * 1000000000;
	return 0;
}

static int options_parse(struct control *control, int argc, char **argv, const char *usage, const char *takes,
			 int *code)
{
	static const struct option list[] = {{"json", no_argument, NULL, 'j'},
					     {"timeout", required_argument, NULL, 't'},
					     {"socket", required_argument, NULL, 's'},
					     {"help", no_argument, NULL, 'h'},
					     {NULL, 0, NULL, 0}};
	int option;

	*code = 0;
	while (*code == 0 && (option = getopt_long(argc, argv, "jt:", list, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(usage, stdout);
			return -1;
		}
		if (option == 's')
			control->socket = optarg;
		else if (option == '?')
			*code = EXIT_USAGE; /* getopt has said why */
		else if (!strchr(takes, option))
			*code = usage_error(control->command, option == 'j' ? "has no --json" : "has no --timeout");
		else if (option == 'j')
			control->json = true;
		else
			*code = timeout_parse(control, optarg);
	}
	if (*code == 0 && optind + 1 != argc)
		*code = usage_error(control->command, "takes one device, by its index or by its name");
	return *code ? -1 : 0;
}

static bool is_wanted(const struct control *control, const char *text)
{
	unsigned long index;

	return number_parse(text, UINT32_MAX, &index) ? index == control->index : !strcmp(control->usage.name, text);
}

/* 0, or -1 after it has said why. */
static int find(struct control *control, const char *text)
{
	uint32_t count = npu_device_count(control->connection);

	for (control->index = 0; control->index < count; control->index++) {
		if (npu_device_usage(control->connection, control->index, &control->usage) < 0) {
			(void)fprintf(stderr, "npuctl %s: %s\n", control->command, npu_error());
			return -1;
		}
		if (is_wanted(control, text))
			return 0;
	}
	(void)fprintf(stderr, "npuctl %s: there is no NPU '%s' (`npuctl ps` lists the %u that npud serves)\n",
		      control->command, text, count);
	return -1;
}

int control_open(struct control *control, int argc, char **argv, const char *usage, const char *takes, int *code)
{
	*control = (struct control){.command = argv[0], .timeout_ns = NPU_WAIT_FOREVER};
	if (options_parse(control, argc, argv, usage, takes, code) < 0)
		return -1;
	*code = EXIT_FAILURE;
	if (npu_connect(control->socket, &control->connection) < 0) {
		(void)fprintf(stderr, "npuctl %s: cannot reach npud: %s\n", control->command, npu_error());
		return -1;
	}
	if (find(control, argv[optind]) == 0)
		return 0;
	npu_disconnect(control->connection);
	return -1;
}

int control_close(struct control *control, int error)
{
	if (error < 0)
		(void)fprintf(stderr, "npuctl %s: %s: %s\n", control->command, control->usage.name, npu_error());
	npu_disconnect(control->connection);
	return error < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
