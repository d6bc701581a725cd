/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the kernel's log for refused accesses; see kernel_log.h. */
#include "tests/vm/guest/kernel_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/suite.h"

#define PATIENCE_MS 300

int kernel_log_open(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	ck_assert_msg(log >= 0, "/dev/kmsg: %s", strerror(errno));
	ck_assert_int_eq(lseek(log, 0, SEEK_END), 0);
	return log;
}

bool kernel_log_parse(const char *line, uint64_t *address)
{
	static const char *const before[] = {"fault addr ", " fault from EP "};
	const char *at = NULL;

	for (unsigned i = 0; i < 2 && !at; i++)
		at = strstr(line, before[i]);
	if (!at)
		return false;
	at = strstr(at, "0x");
	return at && sscanf(at, "%" SCNx64, address) == 1;
}

/* The next line about a refused access: false if there is none yet. */
static bool next_refused(int log, uint64_t *address)
{
	char line[1024];

	for (;;) {
		ssize_t bytes = read(log, line, sizeof(line) - 1);
		/* EPIPE: lines were overwritten before we came; what follows is read. */
		if (bytes < 0 && errno == EPIPE)
			continue;
		if (bytes <= 0)
			return false;
		line[bytes] = '\0';
		if (kernel_log_parse(line, address))
			return true;
	}
}

bool kernel_log_refused(int log, uint64_t address, uint64_t bytes)
{
	const struct timespec pause = {0, 1000000};

	for (unsigned ms = 0; ms < PATIENCE_MS; ms++) {
		uint64_t at;
		while (next_refused(log, &at)) {
			/* VT-d reports pages */
			if (at >= (address & ~0xfffull) && at < address + bytes)
				return true;
			printf("the kernel refused %#" PRIx64 ", not %#" PRIx64 "\n", at, address);
		}
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

unsigned kernel_log_count(int log)
{
	uint64_t at;
	unsigned count = 0;

	while (next_refused(log, &at))
		count++;
	return count;
}
