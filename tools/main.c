/* SPDX-License-Identifier: Apache-2.0 */
/* npuctl: the operator's tool. Picks the command; knows nothing about any of them but its name. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <npu/npu.h>

#include "tools/commands.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
	const char *summary;
} commands[] = {
    {"bind", command_bind, usage_bind, "give a device to VFIO, so that npud can have it"},
    {"doctor", command_doctor, usage_doctor, "what stands between this host and a working NPU"},
    {"drain", command_drain, usage_drain, "let a device finish what it has and take nothing new (the right drain)"},
    {"info", command_info, usage_info, "the NPUs that npud serves"},
    {"maps", command_maps, usage_maps, "which session has memory at which addresses (the right maps)"},
    {"pardon", command_pardon, usage_pardon, "end the quarantine of a user or a session (root or npud's own user)"},
    {"ps", command_ps, usage_ps, "what each session has and does"},
    {"registers", command_registers, usage_registers, "status registers of a device (the right registers)"},
    {"reset", command_reset, usage_reset, "reset a device, or bring back one that is offline (the right reset)"},
    {"resume", command_resume, usage_resume, "let a drained device take work again (the right drain)"},
    {"run", command_run, usage_run, "run a model on files or random numbers; measure it"},
    {"stats", command_stats, usage_stats, "what npud holds and has done (root or npud's own user)"},
    {"timeline", command_timeline, usage_timeline, "when what happened to the last submissions, as a Chrome trace"},
    {"unbind", command_unbind, usage_unbind, "give a device back to the driver it had"},
    {"why", command_why, usage_why, "what a submission waits for"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage_print(FILE *to)
{
	(void)fputs("usage: npuctl COMMAND [OPTION...]\n\n", to);
	for (size_t i = 0; i < COMMANDS; i++)
		(void)fprintf(to, "  %-9s  %s\n", commands[i].name, commands[i].summary);
	(void)fputs(
	    "\n`npuctl COMMAND --help` explains one. npud is looked for at --socket, else $NPU_SOCKET, else\n"
	    "/run/npud/npud.sock. Exit codes: 0 done, 1 failed, 2 wrong usage; doctor, bind and unbind have more.\n",
	    to);
}

int usage_error(const char *command, const char *what)
{
	(void)fprintf(stderr, "npuctl %s: %s (`npuctl %s --help` explains)\n", command, what, command);
	return EXIT_USAGE;
}

int options_parse_simple(int argc, char **argv, const char *command, const char *usage, const char **socket, int *code)
{
	static const struct option list[] = {
	    {"socket", required_argument, NULL, 's'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(usage, stdout);
			*code = EXIT_SUCCESS;
			return -1;
		}
		if (option == '?') {
			*code = EXIT_USAGE;
			return -1;
		}
		*socket = optarg;
	}
	if (optind < argc) {
		*code = usage_error(command, "takes no arguments");
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage_print(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage_print(stdout);
		return EXIT_SUCCESS;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("npuctl %s\n", npu_version());
		return EXIT_SUCCESS;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name) == 0) {
			int code = commands[i].run(argc - 1, argv + 1);

			return fflush(stdout) == 0 ? code : EXIT_FAILURE;
		}
	}
	(void)fprintf(stderr, "npuctl: there is no command '%s' (`npuctl --help` lists them)\n", argv[1]);
	return EXIT_USAGE;
}
