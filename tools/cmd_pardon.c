/* SPDX-License-Identifier: Apache-2.0 */
/* npuctl pardon: forgets what is held against a tenant or a session, so that npud takes its work again. */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/limits.h"
#include "tools/commands.h"
#include "tools/wire.h"

const char usage_pardon[] =
    "usage: npuctl pardon (--tenant TENANT | --session N) [--socket NPUD.sock]\n"
    "Ends a quarantine: what is held against a tenant with all its sessions, or against one\n"
    "session, is forgotten.\n"
    "  --tenant TENANT       RULE, or RULE:USER where each user pays alone; a user's name or number\n"
    "  --session N           the number of a session, as the log has it\n"
    "Needs the right \"admin\".\n";

struct pardon_options {
	const char *socket;
	char tenant[NPUD_MAX_STRING_BYTES];
	Npud__Pardon pardon;
};

static int number_parse(const char *text, uint64_t *out)
{
	char *end = NULL;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno || end == text || *end || *text == '-' ? -EINVAL : 0;
}

/* The daemon knows users by number. */
static int tenant_parse(const char *text, struct pardon_options *options)
{
	const char *colon = strrchr(text, ':');
	const struct passwd *user = colon ? getpwnam(colon + 1) : NULL;
	int bytes = user ? snprintf(options->tenant, sizeof(options->tenant), "%.*s:%u", (int)(colon - text), text,
				    user->pw_uid)
			 : snprintf(options->tenant, sizeof(options->tenant), "%s", text);

	options->pardon.whom_case = NPUD__PARDON__WHOM_TENANT;
	options->pardon.tenant = options->tenant;
	if (bytes < 0 || (size_t)bytes >= sizeof(options->tenant))
		return usage_error("pardon", "--tenant is the name of a tenant, which is not as long as that");
	return 0;
}

static int session_parse(const char *text, Npud__Pardon *pardon)
{
	pardon->whom_case = NPUD__PARDON__WHOM_SESSION;
	if (number_parse(text, &pardon->session) < 0)
		return usage_error("pardon", "--session is the number of a session");
	return 0;
}

/* 0 to go on, else -1 with the exit code in *code. */
static int options_parse(int argc, char **argv, struct pardon_options *options, int *code)
{
	static const struct option list[] = {{"tenant", required_argument, NULL, 't'},
					     {"session", required_argument, NULL, 'n'},
					     {"socket", required_argument, NULL, 's'},
					     {"help", no_argument, NULL, 'h'},
					     {NULL, 0, NULL, 0}};
	unsigned named = 0;
	int option;

	*code = 0;
	while (*code == 0 && (option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(usage_pardon, stdout);
			return -1;
		}
		named += option == 't' || option == 'n';
		if (option == 't')
			*code = tenant_parse(optarg, options);
		else if (option == 'n')
			*code = session_parse(optarg, &options->pardon);
		else if (option == 's')
			options->socket = optarg;
		else
			*code = EXIT_USAGE; /* getopt has said why */
	}
	if (*code == 0 && (optind < argc || named != 1))
		*code = usage_error("pardon", "takes either --tenant or --session, once");
	return *code ? -1 : 0;
}

static int pardon_ask(int fd, Npud__Pardon *pardon, struct reason *why)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__ServerFrame *frame = NULL;

	request.serial = 2;
	request.body_case = NPUD__REQUEST__BODY_PARDON;
	request.pardon = pardon;
	int error = wire_call(fd, &request, &frame, why);
	if (error == 0)
		npud__server_frame__free_unpacked(frame, NULL);
	return error;
}

int command_pardon(int argc, char **argv)
{
	struct pardon_options options = {.pardon = NPUD__PARDON__INIT};
	struct reason why = {0};
	int code = 0;

	if (options_parse(argc, argv, &options, &code) < 0)
		return code;
	int fd = wire_connect(options.socket, &why);
	int error = fd < 0 ? fd : pardon_ask(fd, &options.pardon, &why);
	if (fd >= 0)
		close(fd);
	if (error) {
		(void)fprintf(stderr, "npuctl pardon: %s\n", why.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
