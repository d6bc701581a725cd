/* SPDX-License-Identifier: Apache-2.0 */
/* Queues, dependencies, deadlines and fences between real processes. */
#include <poll.h>
#include <unistd.h>

#include "tests/integration/harness.h"

static uint64_t submit_with(struct npu_job *job, struct npu_run_options run)
{
	uint64_t ticket;

	run.size = sizeof(run);
	ASSERT_NPU(npu_job_submit_with(job, NULL, &run, &ticket));
	return ticket;
}

static bool is_over(struct npu_connection *connection, uint64_t ticket)
{
	return npu_wait(connection, ticket, 0, NULL) == 0;
}

START_TEST(a_dependency_orders_what_two_queues_would_not)
{
	struct harness *harness = harness_start(
	    &(struct harness_options){.members = ",\"default_tenant\":{\"classes\":[\"high\",\"normal\"]}"});
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *gate = job_of(connection, program_gate()), *then = job_of(connection, program_copy(4, 1));
	struct npu_queue *queue;

	ASSERT_NPU(npu_queue_create(connection, NPU_CLASS_NORMAL, 0, &queue));
	uint64_t first = submit_running(connection, gate, 0);
	uint64_t second =
	    submit_with(then, (struct npu_run_options){.queue = queue, .after = &first, .after_count = 1});
	ASSERT_NPU(npu_ping(connection));
	ck_assert(!is_over(connection, second));
	ck_assert_int_eq(npu_queue_free(queue), -EBUSY);
	input_of(gate)[0] = 7;
	ASSERT_OUTCOME(wait_for(connection, first), NPU_DONE);
	ASSERT_OUTCOME(wait_for(connection, second), NPU_DONE);
	ck_assert_int_eq(
	    npu_job_submit_with(
		then, NULL,
		&(struct npu_run_options){.size = sizeof(struct npu_run_options), .after = &first, .after_count = 1},
		NULL),
	    -ENOENT);
	ASSERT_NPU(npu_queue_free(queue));
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(what_depends_on_a_failure_never_runs)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *bad = job_of(connection, program_exception(3)), *then = job_of(connection, program_copy(4, 1));
	uint64_t first, second;

	input_of(then)[0] = 1;
	ASSERT_NPU(npu_job_submit(bad, NULL, &first));
	int rc = npu_job_submit_with(
	    then, NULL,
	    &(struct npu_run_options){.size = sizeof(struct npu_run_options), .after = &first, .after_count = 1},
	    &second);
	ASSERT_OUTCOME(wait_for(connection, first), NPU_EXCEPTION);
	/* it had failed when it was asked about, or it fails later */
	if (rc == 0)
		ASSERT_OUTCOME(wait_for(connection, second), NPU_DEPENDENCY);
	else
		ck_assert_int_eq(rc, -ECANCELED);
	ck_assert_uint_eq(output_of(then)[0], 0);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(what_cannot_meet_its_deadline_never_runs)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *gate = job_of(connection, program_gate()), *late = job_of(connection, program_copy(4, 1));
	struct npu_job *behind = job_of(connection, program_copy(4, 1));
	uint64_t first = submit_running(connection, gate, 0);
	/* one goes into the hardware behind the gate, where nothing is shed any more */
	uint64_t second = submit_with(behind, (struct npu_run_options){0});
	uint64_t third = submit_with(late, (struct npu_run_options){.deadline_ns = 2000000});

	ASSERT_OUTCOME(wait_for(connection, third), NPU_SHED);
	ck_assert_uint_eq(output_of(late)[0], 0);
	input_of(gate)[0] = 1;
	ASSERT_OUTCOME(wait_for(connection, first), NPU_DONE);
	ASSERT_OUTCOME(wait_for(connection, second), NPU_DONE);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

/* ------------------------------------------------------------------ another process */

struct waiter {
	int token; /* pipe: the token comes */
	int ready; /* pipe: it waits */
};

static void read_all(int fd, void *data, size_t bytes)
{
	ck_assert_int_eq(read(fd, data, bytes), (ssize_t)bytes);
}

static int wait_for_fence(struct harness *harness, void *user)
{
	const struct waiter *waiter = user;
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(4, 1));
	uint8_t token[NPU_FENCE_TOKEN_BYTES];
	struct npu_fence *fence;

	read_all(waiter->token, token, sizeof(token));
	ASSERT_NPU(npu_fence_import(connection, token, &fence));
	ck_assert_int_eq(npu_fence_state(fence), NPU_FENCE_PENDING);
	ck_assert_int_eq(npu_fence_fd(fence), -ENOTSUP);
	struct npu_fence *const fences[] = {fence};
	uint64_t ticket = submit_with(job, (struct npu_run_options){.fences = fences, .fence_count = 1});
	ASSERT_NPU(npu_ping(connection));
	ck_assert(!is_over(connection, ticket));
	ck_assert_int_eq(write(waiter->ready, "r", 1), 1);
	enum npu_outcome outcome = wait_for(connection, ticket).outcome;
	int state = npu_fence_state(fence);
	npu_fence_free(fence);
	npu_disconnect(connection);
	if (outcome == NPU_DONE && state == NPU_FENCE_DONE)
		return 0;
	return outcome == NPU_DEPENDENCY && state == NPU_FENCE_OWNER_GONE ? 7 : 1;
}

static bool is_readable(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};

	return poll(&poller, 1, 0) == 1;
}

/* _i 0: the submission ends well; 1: its owner goes first. */
START_TEST(a_fence_orders_the_work_of_two_processes_and_always_ends)
{
	struct harness *harness = harness_start(NULL);
	uint8_t token[NPU_FENCE_TOKEN_BYTES];
	struct npu_fence *fence;
	int tokens[2], ready[2];
	char byte;

	ck_assert_int_eq(pipe(tokens), 0);
	ck_assert_int_eq(pipe(ready), 0);
	struct waiter waiter = {tokens[0], ready[1]};
	/* first: it must not have a copy of this process' connection */
	pid_t other = client_start(harness, wait_for_fence, &waiter);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *gate = job_of(connection, program_gate());
	uint64_t ticket = submit_with(gate, (struct npu_run_options){.fence = &fence});
	ASSERT_NPU(npu_fence_token(fence, token));
	ck_assert_int_eq(write(tokens[1], token, sizeof(token)), sizeof(token));
	read_all(ready[0], &byte, 1);
	int fd = npu_fence_fd(fence);
	ck_assert_int_ge(fd, 0);
	ck_assert(!is_readable(fd));
	if (_i == 0) {
		input_of(gate)[0] = 1;
		ASSERT_OUTCOME(wait_for(connection, ticket), NPU_DONE);
		ck_assert(is_readable(fd));
		ck_assert_int_eq(npu_fence_state(fence), NPU_FENCE_DONE);
		npu_fence_free(fence);
	}
	npu_disconnect(connection);
	ck_assert_int_eq(harness_wait(other), _i ? 7 : 0);
	for (int i = 0; i < 2; i++) {
		close(tokens[i]);
		close(ready[i]);
	}
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("queues");
	TCase *all = tcase_create("queues");

	tcase_set_timeout(all, 60);
	tcase_add_test(all, a_dependency_orders_what_two_queues_would_not);
	tcase_add_test(all, what_depends_on_a_failure_never_runs);
	tcase_add_test(all, what_cannot_meet_its_deadline_never_runs);
	tcase_add_loop_test(all, a_fence_orders_the_work_of_two_processes_and_always_ends, 0, 2);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
