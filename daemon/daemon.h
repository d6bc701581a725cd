/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon as a whole: built in order, destroyed in reverse. */
#ifndef NPUD_DAEMON_H
#define NPUD_DAEMON_H

#include "daemon/config.h"

/* Exit codes of npud; npud(8) lists them. */
enum daemon_exit {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* out of memory, no event loop, the socket cannot be made */
	EXIT_USAGE = 2,
	EXIT_CONFIG = 3, /* the configuration is not valid */
	EXIT_SOCKET_TAKEN = 4, /* another npud serves this socket */
	EXIT_DEVICE_TAKEN = 5, /* another npud has one of the devices */
	EXIT_NO_DEVICE = 6, /* no configured device could be opened */
};

/* Runs until SIGTERM or SIGINT. */
enum daemon_exit daemon_run(const struct config *config);

#endif
