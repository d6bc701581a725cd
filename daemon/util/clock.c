/* SPDX-License-Identifier: Apache-2.0 */
/* Reads CLOCK_MONOTONIC, or what a test put in its place. */
#include "daemon/util/clock.h"

#include <stddef.h>
#include <time.h>

static nsec_t (*clock_source)(void);
static void (*clock_pauser)(uint64_t ns);

nsec_t clock_now(void)
{
	struct timespec now = {0};

	if (clock_source)
		return clock_source();
	if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
		return (nsec_t){0};
	return (nsec_t){(uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec};
}

void clock_set_source(nsec_t (*source)(void))
{
	clock_source = source;
}

void clock_pause(uint64_t ns)
{
	struct timespec pause = {(time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC)};

	if (clock_pauser)
		clock_pauser(ns);
	else
		(void)nanosleep(&pause, NULL);
}

void clock_set_pause(void (*pause)(uint64_t ns))
{
	clock_pauser = pause;
}
