/* SPDX-License-Identifier: Apache-2.0 */
/* The way of an interrupt into npud: heard once. That none is missed harness_stop() asserts in every test. */
#include <unistd.h>

#include "tests/integration/harness.h"

#define LOOKS 5000u
#define STILL 20u /* looks in a row */

/* One letter: R for running, S for sleeping. */
static char state_of(pid_t pid)
{
	char path[64], name[64], state = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "re");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%*d (%63[^)]) %c", name, &state), 2);
	ck_assert_int_eq(fclose(file), 0);
	return state;
}

static bool falls_asleep(pid_t pid)
{
	unsigned still = 0;

	for (unsigned i = 0; i < LOOKS && still < STILL; i++) {
		still = state_of(pid) == 'S' ? still + 1 : 0;
		usleep(1000);
	}
	return still == STILL;
}

START_TEST(npud_sleeps_when_an_interrupt_has_been_answered)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(4, 1));

	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	ck_assert(falls_asleep(harness->npud));
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("interrupts");
	TCase *all = tcase_create("interrupts");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, npud_sleeps_when_an_interrupt_has_been_answered);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
