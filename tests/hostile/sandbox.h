/* SPDX-License-Identifier: Apache-2.0 */
/* The system call filter of a unit, as a seccomp program. */
#ifndef NPUD_TESTS_SANDBOX_H
#define NPUD_TESTS_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

struct sandbox_filter {
	const char *allowed_list; /* a file: one name a line, names of other architectures among them */
	uint32_t *allowed; /* numbers */
	unsigned allowed_count;
	bool no_namespaces;
	bool no_realtime;
	bool lock_personality;
};

/* The numbers that this architecture has for the names; ends the program when there are none. */
uint32_t *sandbox_read_list(const char *path, unsigned *count);
/* Of this process and what it becomes. A call that is not allowed kills; 0 or -errno. */
int sandbox_filter_load(const struct sandbox_filter *filter);

#endif
