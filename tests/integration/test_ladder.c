/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hangs that an abort and the device's own reset do not end: the transport resets it, or closes it and opens it again.
 * The guilty one loses its job, nobody else does. The software NPU is told to hang so hard (--hard-hangs).
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/integration/harness.h"

#define BUDGET_NS 300000000ull
#define VFIO_DEVICE_RESET "3b6f"

/* Lines of npud's log that have both texts. */
static unsigned logged(const struct harness *harness, const char *event, const char *what)
{
	char *text = harness_read(harness, "npud.log"), *rest = NULL;
	unsigned count = 0;

	for (const char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		count += strstr(line, event) && strstr(line, what);
	free(text);
	return count;
}

static struct harness *start(void)
{
	return harness_start(&(struct harness_options){.emu_args = {"--hard-hangs"}});
}

/* Hangs twice, with another session's work behind it; everything goes on each time. */
static void hang_and_go_on(struct harness *harness)
{
	struct npu_connection *guilty = harness_connect(harness), *innocent = harness_connect(harness);
	struct npu_job *spin = job_of(guilty, program_spin()), *good = job_of(innocent, program_copy(16, 1)),
		       *own = job_of(guilty, program_copy(16, 2));

	for (unsigned round = 0; round < 2; round++) {
		uint64_t hung = submit_running(guilty, spin, BUDGET_NS), waiting = submit(good, 0);
		input_of(good)[0] = input_of(own)[0] = round;
		ASSERT_OUTCOME(wait_for(guilty, hung), NPU_TIMEOUT);
		ASSERT_OUTCOME(wait_for(innocent, waiting), NPU_DONE);
		ASSERT_OUTCOME(run(guilty, own), NPU_DONE);
		ck_assert_uint_eq(output_of(own)[0], round + 2);
		ASSERT_OUTCOME(run(innocent, good), NPU_DONE);
		ck_assert_uint_eq(output_of(good)[0], round + 1);
	}
	npu_disconnect(guilty);
	npu_disconnect(innocent);
}

START_TEST(a_hang_that_only_the_bus_can_end_costs_its_owner_the_job)
{
	struct harness *harness = start();

	hang_and_go_on(harness);
	ck_assert_uint_eq(logged(harness, "device.rung_failed", "next=\"transport reset\""), 2);
	ck_assert_uint_eq(logged(harness, "device.rung_failed", "next=reopen"), 0);
	ck_assert_uint_eq(logged(harness, "device.rung_failed", "next=\"reopen\""), 0);
	harness_stop(harness);
}
END_TEST

/* The kernel refuses to reset the device: it is closed and opened again, which resets it, too. */
START_TEST(a_device_that_cannot_be_reset_is_opened_again)
{
	char preload[512];

	(void)snprintf(preload, sizeof(preload), "%s/fail_ioctl.so", getenv("NPUD_BUILD"));
	ck_assert_int_eq(setenv("LD_PRELOAD", preload, 1), 0);
	ck_assert_int_eq(setenv("FAIL_REQUEST", VFIO_DEVICE_RESET, 1), 0);
	struct harness *harness = start();
	(void)unsetenv("LD_PRELOAD");
	hang_and_go_on(harness);
	ck_assert_uint_eq(logged(harness, "device.rung_failed", "reopen"), 2);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ladder");
	TCase *all = tcase_create("ladder");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, a_hang_that_only_the_bus_can_end_costs_its_owner_the_job);
	/* No ioctl of another transport can be made to fail. */
	if (harness_has_kernel_device())
		tcase_add_test(all, a_device_that_cannot_be_reset_is_opened_again);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
