/* SPDX-License-Identifier: Apache-2.0 */
/* The counting process; see guest_clock.h. */
#include "tests/vm/guest/guest_clock.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/suite.h"

#define STEP_NS 1000000
#define LONGEST_NS (5 * STEP_NS)

static _Atomic uint64_t *counted_ns;
static pid_t counter;

static int64_t now_ns(void)
{
	struct timespec at;

	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

static void count(void)
{
	const struct timespec step = {0, STEP_NS};

	for (;;) {
		int64_t before = now_ns();
		(void)nanosleep(&step, NULL);
		int64_t slept = now_ns() - before;
		atomic_fetch_add(counted_ns, (uint64_t)(slept < LONGEST_NS ? slept : LONGEST_NS));
	}
}

void guest_clock_start(void)
{
	counted_ns = mmap(NULL, sizeof(*counted_ns), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(counted_ns, MAP_FAILED);
	counter = fork();
	ck_assert_int_ge(counter, 0);
	if (counter == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		count();
	}
}

double guest_clock(void)
{
	return (double)atomic_load(counted_ns) / 1e9;
}

void guest_clock_stop(void)
{
	(void)kill(counter, SIGKILL);
	(void)waitpid(counter, NULL, 0);
	(void)munmap(counted_ns, sizeof(*counted_ns));
}
