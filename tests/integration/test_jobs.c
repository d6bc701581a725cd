/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that do what they should: one, several, deep, on several sessions; cancelled when asked to. */
#include <poll.h>

#include "tests/integration/harness.h"

START_TEST(a_noop_job_is_done)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_noop());
	struct npu_result result = run(connection, job);

	ASSERT_OUTCOME(result, NPU_DONE);
	ck_assert_str_eq(result.message, "");
	ck_assert_uint_gt(result.device_ns, 0);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(the_pin_interrupt_serves_as_well)
{
	struct harness *harness = harness_start(&(struct harness_options){.emu_args = {"--no-msix"}});
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(4, 1));
	unsigned late = 0;

	for (uint32_t i = 0; i < 50; i++) {
		input_of(job)[0] = i;
		struct npu_result result = run(connection, job);
		ASSERT_OUTCOME(result, NPU_DONE);
		ck_assert_uint_eq(output_of(job)[0], i + 1);
		late += result.device_ns > 100000000;
	}
	/* A line that stays masked leaves completions to the watchdog, which looks four times a second. */
	ck_assert_uint_lt(late, 10);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(data_goes_in_and_comes_out)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(1024, 7));

	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 1024; i++)
			input_of(job)[i] = i * 3 + round;
		ASSERT_OUTCOME(run(connection, job), NPU_DONE);
		for (uint32_t i = 0; i < 1024; i++)
			ck_assert_uint_eq(output_of(job)[i], i * 3 + round + 7);
	}
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(constants_are_reached_through_their_own_address_space)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_constants(1000));

	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	const uint8_t *out = (const uint8_t *)output_of(job);
	for (unsigned i = 0; i < 4000; i++)
		ck_assert_uint_eq(out[i], i % 251);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(groups_that_depend_run_in_order)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_chain(8));

	for (uint32_t i = 0; i < 20; i++) {
		input_of(job)[0] = 100 * i;
		ASSERT_OUTCOME(run(connection, job), NPU_DONE);
		ck_assert_uint_eq(output_of(job)[0], 100 * i + 8);
	}
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(instances_have_tensors_of_their_own)
{
	enum { INSTANCES = 8 };
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_graph *graph = load(connection, program_copy(16, 5));
	struct npu_job *job[INSTANCES];
	uint64_t ticket[INSTANCES];

	for (uint32_t i = 0; i < INSTANCES; i++) {
		ASSERT_NPU(npu_job_create(graph, &job[i]));
		input_of(job[i])[0] = 1000 * i;
	}
	for (uint32_t i = 0; i < INSTANCES; i++)
		ticket[i] = submit(job[i], 0);
	for (uint32_t i = INSTANCES; i-- > 0;) /* waited for in another order */
		ASSERT_OUTCOME(wait_for(connection, ticket[i]), NPU_DONE);
	for (uint32_t i = 0; i < INSTANCES; i++)
		ck_assert_uint_eq(output_of(job[i])[0], 1000 * i + 5);
	ck_assert_int_eq(npu_graph_free(graph), -EBUSY);
	for (uint32_t i = 0; i < INSTANCES; i++)
		ASSERT_NPU(npu_job_free(job[i]));
	ASSERT_NPU(npu_graph_free(graph));
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(depth_64_completes_all_and_in_order)
{
	enum { DEPTH = 64, ROUNDS = 3 };
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_graph *graph = load(connection, program_chain(1));
	struct npu_job *job[DEPTH];
	uint64_t ticket[ROUNDS][DEPTH];

	for (uint32_t i = 0; i < DEPTH; i++) {
		ASSERT_NPU(npu_job_create(graph, &job[i]));
		input_of(job[i])[0] = i;
	}
	for (unsigned round = 0; round < ROUNDS; round++)
		for (uint32_t i = 0; i < DEPTH; i++)
			ticket[round][i] = submit(job[i], 0);
	for (unsigned round = 0; round < ROUNDS; round++)
		for (uint32_t i = 0; i < DEPTH; i++)
			ASSERT_OUTCOME(wait_for(connection, ticket[round][i]), NPU_DONE);
	for (uint32_t i = 0; i < DEPTH; i++)
		ck_assert_uint_eq(output_of(job[i])[0], i + 1);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

struct printed {
	unsigned count;
	uint32_t group;
	uint32_t task;
	char text[1024];
};

static void on_print(struct npu_job *job, uint32_t group, uint32_t task, const char *text, void *user)
{
	struct printed *printed = user;

	ck_assert_ptr_nonnull(job);
	printed->count++;
	printed->group = group;
	printed->task = task;
	(void)snprintf(printed->text, sizeof(printed->text), "%s", text);
}

START_TEST(what_a_program_prints_arrives_before_its_completion)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_print("layer 3: 42 of 64 clipped"));
	struct printed printed = {0};

	npu_set_print(connection, on_print, &printed);
	for (unsigned i = 1; i <= 5; i++) {
		ASSERT_OUTCOME(run(connection, job), NPU_DONE);
		ck_assert_uint_eq(printed.count, i);
		ck_assert_str_eq(printed.text, "layer 3: 42 of 64 clipped");
		ck_assert_uint_eq(printed.group, 0);
		ck_assert_uint_eq(printed.task, 0);
	}
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(two_sessions_that_alternate_get_their_own_results)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection[2] = {harness_connect(harness), harness_connect(harness)};
	struct npu_job *job[2] = {job_of(connection[0], program_copy(64, 1)),
				  job_of(connection[1], program_copy(64, 2))};
	Npud__Stats stats = harness_stats(harness);
	uint64_t tenures = stats.tenures;

	for (uint32_t round = 0; round < 20; round++) {
		uint64_t ticket[2];

		for (unsigned s = 0; s < 2; s++) {
			input_of(job[s])[63] = 10 * round + 1000000 * s;
			output_of(job[s])[63] = 0;
			ticket[s] = submit(job[s], 0);
		}
		for (unsigned s = 0; s < 2; s++) {
			ASSERT_OUTCOME(wait_for(connection[s], ticket[s]), NPU_DONE);
			ck_assert_uint_eq(output_of(job[s])[63], 10 * round + 1000000 * s + s + 1);
		}
	}
	stats = harness_stats(harness);
	ck_assert_uint_ge(stats.tenures, tenures + 20);
	ck_assert_uint_eq(stats.unknown_completions, 0);
	npu_disconnect(connection[0]);
	ASSERT_OUTCOME(run(connection[1], job[1]), NPU_DONE); /* the other goes on */
	npu_disconnect(connection[1]);
	harness_stop(harness);
}
END_TEST

static int run_many(struct harness *harness, void *user)
{
	const uint32_t *number = user;
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(16, *number));

	for (uint32_t i = 0; i < 25; i++) {
		input_of(job)[15] = i;
		if (npu_job_run(job, NULL) || output_of(job)[15] != i + *number)
			return 1;
	}
	npu_disconnect(connection);
	return 0;
}

START_TEST(eight_client_processes_at_once_all_succeed)
{
	enum { CLIENTS = 8 };
	struct harness *harness = harness_start(NULL);
	uint32_t number[CLIENTS];
	pid_t pid[CLIENTS];

	for (uint32_t i = 0; i < CLIENTS; i++) {
		number[i] = 100 + i;
		pid[i] = client_start(harness, run_many, &number[i]);
	}
	for (uint32_t i = 0; i < CLIENTS; i++)
		client_wait(pid[i]);
	harness_stop(harness);
}
END_TEST

static void count_done(struct npu_job *job, uint64_t ticket, const struct npu_result *result, void *user)
{
	ck_assert_ptr_nonnull(job);
	ck_assert_uint_ne(ticket, 0);
	ck_assert_uint_eq(result->cookie, 77);
	ASSERT_OUTCOME(*result, NPU_DONE);
	++*(unsigned *)user;
}

START_TEST(callbacks_come_through_the_pollable_descriptor)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_noop());
	unsigned done = 0;
	const struct npu_submit_options options = {.cookie = 77, .done = count_done, .user = &done};
	struct pollfd pollfd = {.fd = npu_fd(connection), .events = POLLIN};

	for (unsigned i = 0; i < 10; i++) {
		uint64_t ticket = 0;

		ASSERT_NPU(npu_job_submit(job, &options, &ticket));
	}
	while (done < 10) {
		ck_assert_int_eq(poll(&pollfd, 1, (int)(PATIENCE_NS / 1000000)), 1);
		ck_assert_int_ge(npu_dispatch(connection), 0);
	}
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

/* ------------------------------------------------------------------ cancel */

START_TEST(a_queued_submission_that_is_cancelled_never_runs)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *spin = job_of(connection, program_spin()), *queued = job_of(connection, program_copy(4, 1));
	uint64_t spinning, waiting[6];

	output_of(queued)[0] = 0x5a5a5a5a;
	spinning = submit_running(connection, spin, 0);
	for (unsigned i = 0; i < 6; i++)
		waiting[i] = submit(queued, 0);
	/* one job has at most one submission in hardware, so the last is certainly queued */
	ck_assert_int_eq(npu_cancel(connection, waiting[5]), NPU_CANCEL_QUEUED);
	struct npu_result result = wait_for(connection, waiting[5]);
	ASSERT_OUTCOME(result, NPU_CANCELLED);
	ck_assert_uint_eq(result.device_ns, 0);
	ck_assert_int_eq(npu_cancel(connection, spinning), NPU_CANCEL_RUNNING);
	ASSERT_OUTCOME(wait_for(connection, spinning), NPU_CANCELLED);
	for (unsigned i = 0; i < 5; i++) {
		result = wait_for(connection, waiting[i]);
		ck_assert_msg(result.outcome == NPU_DONE || result.outcome == NPU_DEVICE_RESET, "submission %u: %s", i,
			      npu_outcome_name(result.outcome));
	}
	ASSERT_OUTCOME(run(connection, queued), NPU_DONE);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(a_running_submission_that_is_cancelled_is_aborted)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *spin = job_of(connection, program_spin()), *after = job_of(connection, program_copy(4, 1));

	for (unsigned i = 0; i < 5; i++) {
		uint64_t ticket = submit_running(connection, spin, 0);

		ck_assert_int_eq(npu_wait(connection, ticket, 0, NULL), -ETIMEDOUT); /* and it stays valid */
		ck_assert_int_eq(npu_cancel(connection, ticket), NPU_CANCEL_RUNNING);
		ASSERT_OUTCOME(wait_for(connection, ticket), NPU_CANCELLED);
		ck_assert_int_eq(npu_wait(connection, ticket, 0, NULL), -ENOENT);
		input_of(after)[0] = i;
		ASSERT_OUTCOME(run(connection, after), NPU_DONE);
		ck_assert_uint_eq(output_of(after)[0], i + 1);
	}
	Npud__Stats stats = harness_stats(harness);
	ck_assert_uint_ge(stats.aborts, 5);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(a_finished_submission_is_too_late_to_cancel)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_noop());
	uint64_t first = submit(job, 0), second = submit(job, 0);

	/* submissions of one job run in order: after the second, the first is long done */
	ASSERT_OUTCOME(wait_for(connection, second), NPU_DONE);
	ck_assert_int_eq(npu_cancel(connection, first), NPU_CANCEL_FINISHED);
	ASSERT_OUTCOME(wait_for(connection, first), NPU_DONE);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(disconnecting_with_work_in_flight_ends_it)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness), *other = harness_connect(harness);
	struct npu_job *spin = job_of(connection, program_spin()), *job = job_of(other, program_noop());

	(void)submit_running(connection, spin, 0);
	for (unsigned i = 0; i < 10; i++)
		(void)submit(spin, 0);
	npu_disconnect(connection);
	ASSERT_OUTCOME(run(other, job), NPU_DONE);
	npu_disconnect(other);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("jobs");
	TCase *jobs = tcase_create("jobs"), *cancel = tcase_create("cancel");

	tcase_set_timeout(jobs, 120);
	tcase_add_test(jobs, a_noop_job_is_done);
	tcase_add_test(jobs, the_pin_interrupt_serves_as_well);
	tcase_add_test(jobs, data_goes_in_and_comes_out);
	tcase_add_test(jobs, constants_are_reached_through_their_own_address_space);
	tcase_add_test(jobs, groups_that_depend_run_in_order);
	tcase_add_test(jobs, instances_have_tensors_of_their_own);
	tcase_add_test(jobs, depth_64_completes_all_and_in_order);
	tcase_add_test(jobs, what_a_program_prints_arrives_before_its_completion);
	tcase_add_test(jobs, two_sessions_that_alternate_get_their_own_results);
	tcase_add_test(jobs, eight_client_processes_at_once_all_succeed);
	tcase_add_test(jobs, callbacks_come_through_the_pollable_descriptor);
	suite_add_tcase(suite, jobs);
	tcase_set_timeout(cancel, 120);
	tcase_add_test(cancel, a_queued_submission_that_is_cancelled_never_runs);
	tcase_add_test(cancel, a_running_submission_that_is_cancelled_is_aborted);
	tcase_add_test(cancel, a_finished_submission_is_too_late_to_cancel);
	tcase_add_test(cancel, disconnecting_with_work_in_flight_ends_it);
	suite_add_tcase(suite, cancel);
	return suite_main(suite);
}
