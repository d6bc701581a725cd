/* SPDX-License-Identifier: Apache-2.0 */
/* Submissions and their tickets: completions in any order, credits, refusals, cancelling, an offline device. */
#include "tests/unit/libclient/session.h"

/* Allocations of this thread, where no sanitizer owns the allocator. */
static _Thread_local unsigned long allocations;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
#define COUNTS_ALLOCATIONS 1
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *malloc(size_t bytes)
{
	allocations++;
	return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes)
{
	allocations++;
	return __libc_calloc(count, bytes);
}
void *realloc(void *memory, size_t bytes)
{
	allocations++;
	return __libc_realloc(memory, bytes);
}
#else
#define COUNTS_ALLOCATIONS 0
#endif

START_TEST(completions_in_any_order_reach_their_tickets)
{
	struct npu_result result;
	uint64_t tickets[3];

	start();
	begin_with_graph();
	struct npu_job *job = make_job();

	for (uint64_t i = 0; i < 3; i++)
		tickets[i] = submit(job, 100 + i);
	settle();
	fake_complete(&fake, 2, NPUD__OUTCOME__OUTCOME_FAULT);
	fake_complete(&fake, 0, NPUD__OUTCOME__OUTCOME_DONE);
	fake_complete(&fake, 1, NPUD__OUTCOME__OUTCOME_TIMEOUT);
	ck_assert_int_eq(npu_wait(npu, tickets[0], NPU_WAIT_FOREVER, &result), 0);
	ck_assert_int_eq(result.outcome, NPU_DONE);
	ck_assert_uint_eq(result.cookie, 100);
	ck_assert_uint_eq(result.device_ns, 1000);
	ck_assert_str_eq(result.message, "");
	ck_assert_int_eq(npu_wait(npu, tickets[1], NPU_WAIT_FOREVER, &result), 0);
	ck_assert_int_eq(result.outcome, NPU_TIMEOUT);
	ck_assert_uint_eq(result.cookie, 101);
	ck_assert_int_eq(npu_wait(npu, tickets[2], NPU_WAIT_FOREVER, &result), 0);
	ck_assert_int_eq(result.outcome, NPU_FAULT);
	ck_assert_uint_eq(result.cookie, 102);
	ck_assert_str_eq(result.message, "as the test wishes");
	/* a released ticket is nobody's */
	ck_assert_int_eq(npu_wait(npu, tickets[1], 0, &result), -ENOENT);
	ck_assert_int_eq(npu_wait(npu, 0, 0, NULL), -ENOENT);
	ck_assert_int_eq(npu_wait(npu, UINT64_MAX, 0, NULL), -ENOENT);
	finish();
}
END_TEST

START_TEST(another_ticket_completing_does_not_end_a_wait)
{
	struct npu_result result;

	start();
	begin_with_graph();
	struct npu_job *job = make_job();
	uint64_t first = submit(job, 1), second = submit(job, 2);

	settle();
	fake_complete(&fake, 1, NPUD__OUTCOME__OUTCOME_DONE);
	ck_assert_int_eq(npu_wait(npu, first, 1000000, &result), -ETIMEDOUT);
	ck_assert_int_eq(npu_wait(npu, first, 0, &result), -ETIMEDOUT);
	ck_assert_str_ne(npu_error(), "");
	ck_assert_int_eq(npu_wait(npu, second, 0, &result), 0);
	ck_assert_uint_eq(result.cookie, 2);
	fake_complete(&fake, 0, NPUD__OUTCOME__OUTCOME_DONE);
	ck_assert_int_eq(npu_wait(npu, first, NPU_WAIT_FOREVER, &result), 0);
	ck_assert_uint_eq(result.cookie, 1);
	finish();
}
END_TEST

START_TEST(a_completion_may_overtake_the_answer_to_its_submission)
{
	struct npu_result result;

	start();
	begin_with_graph();
	atomic_store(&fake.mood, FAKE_COMPLETES);
	struct npu_job *job = make_job();

	/* the late answers meet slots that are in use again */
	for (uint64_t i = 0; i < 50; i++) {
		ck_assert_int_eq(npu_wait(npu, submit(job, i), NPU_WAIT_FOREVER, &result), 0);
		ck_assert_uint_eq(result.cookie, i);
	}
	finish();
}
END_TEST

START_TEST(without_credits_submitting_says_try_again)
{
	uint64_t tickets[4], ticket;

	start();
	fake.credits = 4;
	begin_with_graph();
	struct npu_job *job = make_job();

	for (int i = 0; i < 4; i++)
		tickets[i] = submit(job, 0);
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), -EAGAIN);
	ck_assert_ptr_nonnull(strstr(npu_error(), "4 submissions"));
	settle();
	fake_complete(&fake, 3, NPUD__OUTCOME__OUTCOME_DONE);
	/* done is not enough: the ticket is still out */
	settle();
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), -EAGAIN);
	ck_assert_int_eq(npu_wait(npu, tickets[3], NPU_WAIT_FOREVER, NULL), 0);
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), 0);
	ck_assert_uint_ne(ticket, tickets[3]);
	finish();
}
END_TEST

START_TEST(a_refused_submission_is_told_by_the_wait)
{
	struct npu_result result;
	uint64_t ticket;

	start();
	begin_with_graph();
	struct npu_job *job = make_job();

	atomic_store(&fake.mood, FAKE_REFUSES);
	ticket = submit(job, 5);
	ck_assert_int_eq(npu_wait(npu, ticket, NPU_WAIT_FOREVER, &result), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(npu_error(), "8 of 8"));
	ck_assert_int_eq(npu_wait(npu, ticket, 0, &result), -ENOENT);
	atomic_store(&fake.mood, FAKE_DEVICE_GONE);
	ticket = submit(job, 6);
	ck_assert_int_eq(npu_wait(npu, ticket, NPU_WAIT_FOREVER, &result), 0);
	ck_assert_int_eq(result.outcome, NPU_DEVICE_GONE);
	ck_assert_int_eq(npu_job_run(job, NULL), -EIO);
	ck_assert_ptr_nonnull(strstr(npu_error(), "device gone"));
	ck_assert_int_eq(npu_job_free(job), 0);
	finish();
}
END_TEST

static void tell_offline(uint32_t device)
{
	Npud__DeviceState state = NPUD__DEVICE_STATE__INIT;
	Npud__Event event = NPUD__EVENT__INIT;

	state.index = device;
	state.status = NPUD__DEVICE_STATUS__DEVICE_OFFLINE;
	event.body_case = NPUD__EVENT__BODY_DEVICE_STATE;
	event.device_state = &state;
	fake_event(&fake, &event);
	settle();
}

START_TEST(only_the_sessions_own_device_matters)
{
	uint64_t ticket;

	start();
	fake.devices = 3;
	fake.device = 1; /* the others are of another kind */
	begin_with_graph();
	struct npu_job *job = make_job();

	tell_offline(0);
	tell_offline(2);
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), 0);
	tell_offline(1);
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), -ENODEV);
	ck_assert_ptr_nonnull(strstr(npu_error(), "device 1 is offline"));
	finish();
}
END_TEST

static void tell_moved(uint32_t device)
{
	Npud__SessionMoved moved = NPUD__SESSION_MOVED__INIT;
	Npud__Event event = NPUD__EVENT__INIT;

	moved.device = device;
	event.body_case = NPUD__EVENT__BODY_SESSION_MOVED;
	event.session_moved = &moved;
	fake_event(&fake, &event);
	settle();
}

START_TEST(a_session_that_moved_is_where_the_daemon_says)
{
	uint64_t ticket;

	start();
	fake.devices = 2;
	begin_with_graph();
	struct npu_job *job = make_job();

	ck_assert_uint_eq(npu_device_index(npu), 0);
	tell_moved(1);
	ck_assert_uint_eq(npu_device_index(npu), 1);
	tell_offline(0);
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), 0);
	tell_moved(2); /* there is no such device */
	ck_assert_uint_eq(npu_device_index(npu), 1);
	tell_offline(1);
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), -ENODEV);
	ck_assert_ptr_nonnull(strstr(npu_error(), "device 1 is offline"));
	finish();
}
END_TEST

START_TEST(a_result_says_if_the_device_had_begun)
{
	static const struct {
		Npud__Outcome outcome;
		bool started;
	} ends[] = {{NPUD__OUTCOME__OUTCOME_DONE, true}, {NPUD__OUTCOME__OUTCOME_CANCELLED, false}};
	struct npu_result result;

	start();
	begin_with_graph();
	struct npu_job *job = make_job();

	for (uint32_t i = 0; i < 4; i++) { /* places are used again: nothing of the last result is left */
		uint64_t ticket = submit(job, 0);

		settle();
		fake_complete(&fake, i, ends[i % 2].outcome);
		ck_assert_int_eq(npu_wait(npu, ticket, NPU_WAIT_FOREVER, &result), 0);
		ck_assert_int_eq(result.started, ends[i % 2].started);
	}
	atomic_store(&fake.mood, FAKE_REFUSES);
	ck_assert_int_lt(npu_wait(npu, submit(job, 0), NPU_WAIT_FOREVER, &result), 0);
	ck_assert(!result.started);
	atomic_store(&fake.mood, FAKE_GOOD);
	uint64_t ticket = submit(job, 0);
	settle();
	fake_kill(&fake);
	ck_assert_int_eq(npu_wait(npu, ticket, NPU_WAIT_FOREVER, &result), -EPIPE);
	ck_assert(result.started); /* not disproved */
	finish();
}
END_TEST

START_TEST(an_offline_device_takes_no_submissions)
{
	uint64_t ticket;

	start();
	begin_with_graph();
	struct npu_job *job = make_job();

	tell_offline(0);
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), -ENODEV);
	ck_assert_ptr_nonnull(strstr(npu_error(), "offline"));
	finish();
}
END_TEST

START_TEST(cancelling_says_what_became_of_the_submission)
{
	struct npu_result result;

	start();
	begin_with_graph();
	struct npu_job *job = make_job();
	uint64_t ticket = submit(job, 1);

	ck_assert_int_eq(npu_cancel(npu, ticket), NPU_CANCEL_QUEUED);
	fake.cancel = NPUD__CANCEL_STATE__CANCEL_RUNNING;
	ck_assert_int_eq(npu_cancel(npu, ticket), NPU_CANCEL_RUNNING);
	fake_complete(&fake, 0, NPUD__OUTCOME__OUTCOME_CANCELLED);
	settle();
	ck_assert_int_eq(npu_cancel(npu, ticket), NPU_CANCEL_FINISHED);
	ck_assert_int_eq(npu_wait(npu, ticket, 0, &result), 0);
	ck_assert_int_eq(result.outcome, NPU_CANCELLED);
	ck_assert_int_eq(npu_cancel(npu, ticket), -ENOENT);
	finish();
}
END_TEST

START_TEST(owners_in_use_are_not_freed)
{
	start();
	begin_with_graph();
	struct npu_job *job = make_job();
	uint64_t ticket = submit(job, 1);

	ck_assert_int_eq(npu_graph_free(graph), -EBUSY);
	ck_assert_int_eq(npu_job_free(job), -EBUSY);
	settle();
	fake_complete(&fake, 0, NPUD__OUTCOME__OUTCOME_DONE);
	settle();
	ck_assert_int_eq(npu_job_free(job), 0);
	ck_assert_int_eq(npu_graph_free(graph), 0);
	/* the result outlives the job */
	ck_assert_int_eq(npu_wait(npu, ticket, 0, NULL), 0);
	ck_assert_uint_eq(atomic_load(&fake.release_count), 2);
	ck_assert_uint_eq(atomic_load(&fake.destroy_count), 1);
	ck_assert_int_eq(npu_job_free(NULL), 0);
	ck_assert_int_eq(npu_graph_free(NULL), 0);
	npu_disconnect(NULL);
	finish();
}
END_TEST

START_TEST(between_submit_and_completion_nothing_is_allocated)
{
	struct npu_result result;

	start();
	begin_with_graph();
	atomic_store(&fake.mood, FAKE_COMPLETES);
	struct npu_job *job = make_job();

	ck_assert_int_eq(npu_job_run(job, &result), 0);
	unsigned long before = allocations;

	int failed = 0;

	/* the test framework allocates for each assertion */
	for (int i = 0; i < 100; i++)
		failed += npu_job_run(job, &result) != 0;
	unsigned long after = allocations;

	ck_assert_int_eq(failed, 0);
	ck_assert_uint_eq(after, before);
	/* the counter counts */
	(void)make_job();
	ck_assert(!COUNTS_ALLOCATIONS || allocations > after);
	finish();
}
END_TEST

#define ADD(test) tcase_add_test(tests, test)

int main(void)
{
	Suite *suite = suite_create("completion");
	TCase *tests = tcase_create("completion");

	tcase_set_timeout(tests, 60);
	ADD(completions_in_any_order_reach_their_tickets);
	ADD(another_ticket_completing_does_not_end_a_wait);
	ADD(a_completion_may_overtake_the_answer_to_its_submission);
	ADD(without_credits_submitting_says_try_again);
	ADD(a_refused_submission_is_told_by_the_wait);
	ADD(an_offline_device_takes_no_submissions);
	ADD(only_the_sessions_own_device_matters);
	ADD(a_session_that_moved_is_where_the_daemon_says);
	ADD(a_result_says_if_the_device_had_begun);
	ADD(cancelling_says_what_became_of_the_submission);
	ADD(owners_in_use_are_not_freed);
	ADD(between_submit_and_completion_nothing_is_allocated);
	suite_add_tcase(suite, tests);
	return suite_main(suite);
}
