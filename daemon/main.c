/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of npud. */
#include <getopt.h>
#include <stdio.h>

#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/log.h"

#define DEFAULT_CONFIG "/etc/npud/npud.json"

static void usage(FILE *out)
{
	(void)fprintf(out,
		      "Usage: npud [--config FILE] [--check-config]\n"
		      "Shares Zhouyi NPUs between processes.\n\n"
		      "  -c, --config FILE    configuration (default " DEFAULT_CONFIG ")\n"
		      "      --check-config   check the configuration and exit\n"
		      "      --version        print the version and exit\n"
		      "  -h, --help           print this and exit\n\n"
		      "Exit codes: 0 stopped as asked, 1 failed, 2 usage, 3 configuration not valid,\n"
		      "4 another npud serves the socket, 5 another npud has a device, 6 no device could be opened.\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
						{"check-config", no_argument, NULL, 'k'},
						{"version", no_argument, NULL, 'v'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	const char *path = DEFAULT_CONFIG;
	bool check_only = false;
	struct config_errors errors;
	struct config config;
	int option;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'k':
			check_only = true;
			break;
		case 'v':
			(void)printf("npud %s\n", NPUD_VERSION);
			return EXIT_OK;
		case 'h':
			usage(stdout);
			return EXIT_OK;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (config_load(path, &config, &errors) < 0) {
		(void)fprintf(stderr, "npud: %s: %u error%s\n%s\n", path, errors.count, errors.count == 1 ? "" : "s",
			      errors.text);
		return EXIT_CONFIG;
	}
	if (check_only)
		return EXIT_OK;
	log_setup((enum log_level)config.log.level, (enum log_format)config.log.format);
	return (int)daemon_run(&config);
}
