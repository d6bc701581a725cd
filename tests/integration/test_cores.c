/* SPDX-License-Identifier: Apache-2.0 */
/* Runs that ask for one core of the NPU, beside others that do not. */
#include "tests/integration/harness.h"

#define GROUPS 6u
#define CORES 3u /* of the software NPU, unless it is told otherwise */

static uint64_t submit_on(struct npu_job *job, uint32_t core)
{
	struct npu_run_options run = NPU_RUN_OPTIONS;
	uint64_t ticket;

	run.core = core;
	memset(output_of(job), 0xff, GROUPS * sizeof(uint32_t));
	ASSERT_NPU(npu_job_submit_with(job, NULL, &run, &ticket));
	return ticket;
}

/* Every group says where it ran. */
static void expect_core(const struct npu_job *job, uint32_t core)
{
	const uint32_t *out = output_of((struct npu_job *)(uintptr_t)job);

	for (uint32_t i = 0; i < GROUPS; i++)
		ck_assert_msg(core ? out[i] == core - 1 : out[i] < CORES, "group %u of core %u ran on %u", i, core,
			      out[i]);
}

START_TEST(a_run_is_on_the_core_that_it_asks_for)
{
	static const uint32_t order[] = {1, 2, 3, 3, 0, 0, 2, 0, 1, 1};
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_core(GROUPS));

	for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		ASSERT_OUTCOME(wait_for(connection, submit_on(job, order[i])), NPU_DONE);
		expect_core(job, order[i]);
	}
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(runs_on_one_core_leave_their_neighbours_alone)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *binds = harness_connect(harness), *other = harness_connect(harness);
	struct npu_job *bound[CORES], *beside = job_of(binds, program_copy(64, 1)),
				      *copy = job_of(other, program_copy(1024, 9));
	Npud__Stats before = harness_stats(harness);

	for (uint32_t i = 0; i < CORES; i++)
		bound[i] = job_of(binds, program_core(GROUPS));
	for (uint32_t round = 0; round < 20; round++) {
		uint64_t ticket[CORES];
		for (uint32_t i = 0; i < CORES; i++)
			ticket[i] = submit_on(bound[i], (i + round) % CORES + 1);
		input_of(beside)[5] = round;
		uint64_t own = submit(beside, 0);
		input_of(copy)[1000] = round;
		ASSERT_OUTCOME(run(other, copy), NPU_DONE);
		ck_assert_uint_eq(output_of(copy)[1000], round + 9);
		for (uint32_t i = 0; i < CORES; i++) {
			ASSERT_OUTCOME(wait_for(binds, ticket[i]), NPU_DONE);
			expect_core(bound[i], (i + round) % CORES + 1);
		}
		ASSERT_OUTCOME(wait_for(binds, own), NPU_DONE);
		ck_assert_uint_eq(output_of(beside)[5], round + 1);
	}
	Npud__Stats after = harness_stats(harness);
	ck_assert_uint_eq(after.aborts, before.aborts);
	ck_assert_uint_eq(after.unknown_completions, before.unknown_completions);
	npu_disconnect(binds);
	npu_disconnect(other);
	harness_stop(harness);
}
END_TEST

/* It hangs, and its core and pool are everybody's again. */
START_TEST(a_hang_on_one_core_ends_at_its_budget)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *spin = job_of(connection, program_spin()), *job = job_of(connection, program_core(GROUPS));
	struct npu_submit_options options = {.budget_ns = SECOND_NS / 5};
	struct npu_run_options on = NPU_RUN_OPTIONS;
	uint64_t ticket;

	on.core = 2;
	ASSERT_NPU(npu_job_submit_with(spin, &options, &on, &ticket));
	ASSERT_OUTCOME(wait_for(connection, ticket), NPU_TIMEOUT);
	for (uint32_t core = 0; core <= CORES; core++) {
		ASSERT_OUTCOME(wait_for(connection, submit_on(job, core)), NPU_DONE);
		expect_core(job, core);
	}
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(a_core_that_is_not_there_is_refused)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_core(GROUPS));

	ck_assert_int_eq(npu_wait(connection, submit_on(job, CORES + 1), PATIENCE_NS, NULL), -EINVAL);
	ck_assert_ptr_nonnull(strstr(npu_error(), "the cores 1 to 3"));
	ASSERT_OUTCOME(wait_for(connection, submit_on(job, CORES)), NPU_DONE);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cores");
	TCase *all = tcase_create("cores");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, a_run_is_on_the_core_that_it_asks_for);
	tcase_add_test(all, runs_on_one_core_leave_their_neighbours_alone);
	tcase_add_test(all, a_hang_on_one_core_ends_at_its_budget);
	tcase_add_test(all, a_core_that_is_not_there_is_refused);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
