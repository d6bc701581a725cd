/* SPDX-License-Identifier: Apache-2.0 */
/* The software NPU's clocks as clients see them: what a completion says about time is what the clock model says. */
#include "tests/integration/harness.h"

#define CYCLES 40000000u /* 40 ms at 1 GHz */
#define RUNS 6u

/* Ticks at the completions of `RUNS` runs of a job that spends `cycles`. */
static void ticks_of(struct harness *harness, uint32_t cycles, uint64_t ticks[RUNS])
{
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_delay(cycles));

	for (unsigned i = 0; i < RUNS; i++) {
		struct npu_result result = run(connection, job);

		ASSERT_OUTCOME(result, NPU_DONE);
		ck_assert(result.started);
		ticks[i] = result.device_ticks;
	}
	npu_disconnect(connection);
}

START_TEST(computed_time_makes_a_job_as_long_as_its_cycles)
{
	struct harness *harness = harness_start(&(struct harness_options){.emu_args = {"--time", "computed"}});
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_delay(CYCLES)), *noop = job_of(connection, program_noop());
	struct npu_result before = run(connection, noop);

	ASSERT_OUTCOME(before, NPU_DONE);
	for (unsigned i = 0; i < 3; i++) {
		struct npu_result result = run(connection, job);

		ASSERT_OUTCOME(result, NPU_DONE);
		/* the counter has the host's nanoseconds: both clocks agree on at least the cycles */
		ck_assert_uint_ge(result.device_ns, CYCLES);
		ck_assert_uint_ge(result.device_ticks - before.device_ticks, CYCLES);
		before = result;
	}
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

static struct harness *start_virtual(void)
{
	return harness_start(&(struct harness_options){.emu_args = {"--time", "virtual"}});
}

/* From one completion to the next there is one job, always of the same length: the cycles that were asked for, and
 * those of the instructions around them. */
START_TEST(virtual_time_counts_cycles_and_nothing_else)
{
	const uint32_t cycles[] = {1000, 1000000, 4000000000u};
	uint64_t around[3];

	for (unsigned n = 0; n < 3; n++) {
		struct harness *harness = start_virtual();
		uint64_t ticks[RUNS];

		ticks_of(harness, cycles[n], ticks);
		for (unsigned i = 1; i < RUNS; i++)
			ck_assert_uint_eq(ticks[i] - ticks[i - 1], ticks[1] - ticks[0]);
		ck_assert_uint_ge(ticks[1] - ticks[0], cycles[n]);
		around[n] = ticks[1] - ticks[0] - cycles[n];
		harness_stop(harness);
	}
	ck_assert_uint_lt(around[0], 100);
	ck_assert_uint_eq(around[1], around[0]);
	ck_assert_uint_eq(around[2], around[0]);
}
END_TEST

/* The same work on a fresh device reads the same clock, to the cycle. */
START_TEST(virtual_time_is_the_same_in_every_run)
{
	uint64_t ticks[2][RUNS];

	for (unsigned i = 0; i < 2; i++) {
		struct harness *harness = start_virtual();

		ticks_of(harness, 123456, ticks[i]);
		harness_stop(harness);
	}
	for (unsigned i = 0; i < RUNS; i++)
		ck_assert_uint_eq(ticks[0][i], ticks[1][i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("time");
	TCase *all = tcase_create("time");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, computed_time_makes_a_job_as_long_as_its_cycles);
	tcase_add_test(all, virtual_time_counts_cycles_and_nothing_else);
	tcase_add_test(all, virtual_time_is_the_same_in_every_run);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
