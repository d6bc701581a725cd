/* SPDX-License-Identifier: Apache-2.0 */
/* Options and words of the commands that show what npud does; see show.h. */
#include "tools/show.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/commands.h"

static int unknown_option(const char *command, int letter)
{
	char what[32];

	(void)snprintf(what, sizeof(what), "has no option -%c", letter);
	return usage_error(command, what);
}

int show_options_parse(int argc, char **argv, const char *command, const char *usage, const char *takes,
		       struct show_options *options, int *code)
{
	static const struct option list[] = {{"json", no_argument, NULL, 'j'},
					     {"output", required_argument, NULL, 'o'},
					     {"socket", required_argument, NULL, 's'},
					     {"help", no_argument, NULL, 'h'},
					     {NULL, 0, NULL, 0}};
	int option;

	*code = 0;
	while (*code == 0 && (option = getopt_long(argc, argv, "jo:", list, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(usage, stdout);
			return -1;
		}
		if (option == 's')
			options->socket = optarg;
		else if (option == '?')
			*code = EXIT_USAGE; /* getopt has said why */
		else if (!strchr(takes, option))
			*code = unknown_option(command, option);
		else if (option == 'j')
			options->json = true;
		else
			options->output = optarg;
	}
	return *code ? -1 : 0;
}

struct npu_connection *show_connect(const char *command, const struct show_options *options)
{
	struct npu_connection *connection = NULL;

	if (npu_connect(options->socket, &connection) < 0)
		(void)fprintf(stderr, "npuctl %s: cannot reach npud: %s\n", command, npu_error());
	return connection;
}

static int write_json(FILE *file, const json_t *root)
{
	int error = json_dumpf(root, file, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(16));

	return error || fputc('\n', file) == EOF ? -EIO : 0;
}

static int write_file(const char *path, const json_t *root)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return -errno;
	int error = write_json(file, root);
	if (fclose(file) && !error)
		error = -errno;
	return error;
}

int show_json(const char *command, const char *path, json_t *root)
{
	int error = -ENOMEM;

	if (root)
		error = path ? write_file(path, root) : write_json(stdout, root);
	json_decref(root);
	if (error == 0)
		return EXIT_SUCCESS;
	(void)fprintf(stderr, "npuctl %s: cannot write %s: %s\n", command, path ? path : "JSON", strerror(-error));
	return EXIT_FAILURE;
}

const char *show_class(enum npu_class class_of)
{
	static const char *const names[] = {"?", "realtime", "high", "normal", "idle"};

	return class_of >= NPU_CLASS_REALTIME && class_of <= NPU_CLASS_IDLE ? names[class_of] : names[0];
}

const char *show_status(enum npu_device_status status)
{
	static const char *const names[] = {"?", "ready", "recovering", "offline"};

	return status >= NPU_DEVICE_READY && status <= NPU_DEVICE_OFFLINE ? names[status] : names[0];
}

const char *show_usage(const struct npu_device_usage *usage, char *text, size_t room)
{
	char work[64] = "none with work";

	if (usage->busy_sessions)
		(void)snprintf(work, sizeof(work), "%u of them with %u submission%s", usage->busy_sessions,
			       usage->submissions, usage->submissions == 1 ? "" : "s");
	(void)snprintf(text, room, "%s: %s%s%s%s; %u session%s, %s", usage->name, show_status(usage->status),
		       usage->reason[0] ? ": " : "", usage->reason, usage->drained ? ", drained" : "", usage->sessions,
		       usage->sessions == 1 ? "" : "s", work);
	return text;
}

const char *show_size(uint64_t bytes, char *text, size_t room)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned unit = 0;

	while (unit + 1 < sizeof(units) / sizeof(units[0]) && bytes >> (10 * (unit + 1)))
		unit++;
	uint64_t one = 1ull << (10 * unit);
	int digits = bytes % one ? 1 : 0;

	(void)snprintf(text, room, "%.*f %s", digits, (double)bytes / (double)one, units[unit]);
	return text;
}

const char *show_time(uint64_t ns, char *text, size_t room)
{
	static const char *const units[] = {"ns", "us", "ms", "s"};
	unsigned unit = 0;
	uint64_t one = 1;

	for (; unit + 1 < sizeof(units) / sizeof(units[0]) && ns / one >= 1000; unit++)
		one *= 1000;
	(void)snprintf(text, room, "%.*f %s", ns % one ? 1 : 0, (double)ns / (double)one, units[unit]);
	return text;
}
