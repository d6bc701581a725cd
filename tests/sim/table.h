/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the simulation: a line per case, "fifo" beside "fair". */
#ifndef NPUD_TESTS_SIM_TABLE_H
#define NPUD_TESTS_SIM_TABLE_H

#include <stdio.h>
#include <stdlib.h>

/* To the file that SIM_TABLE names, or to standard output. A case without a number for "fifo" has a negative one. */
static inline void table_row(const char *name, double fifo, double fair, const char *goal)
{
	const char *path = getenv("SIM_TABLE");
	FILE *to = path ? fopen(path, "a") : stdout;
	char beside[32] = "-";

	if (!to)
		return;
	if (fifo >= 0)
		(void)snprintf(beside, sizeof(beside), "%.4f", fifo);
	(void)fprintf(to, "%-58s %10s %10.4f   %s\n", name, beside, fair, goal);
	(void)(path ? fclose(to) : fflush(to));
}

#endif
