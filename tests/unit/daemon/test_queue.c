/* SPDX-License-Identifier: Apache-2.0 */
/* Queues, dependencies and fences: what waits for what, and that every wait ends. */
#include <poll.h>
#include <unistd.h>

#include "tests/unit/daemon/world.h"

static uint64_t submit_as(struct session *session, struct submit_request request, struct fence_made *fence)
{
	struct submit_reply reply;
	struct fail fail;
	int error = session_submit(session, &request, &reply, &fail);

	ck_assert_msg(error == 0, "%s", error ? fail.text : "");
	if (fence)
		*fence = reply.fence;
	return reply.submission;
}

static int refusal_of(struct session *session, struct submit_request request)
{
	struct submit_reply reply;
	struct fail fail;

	return session_submit(session, &request, &reply, &fail);
}

static struct queue *make_queue(struct session *session, enum sched_class class, uint32_t weight)
{
	struct queue_options options = {.class = class, .weight = weight};
	struct queue *queue;

	ck_assert_int_eq(queue_create(session, &options, &queue, NULL), 0);
	return queue;
}

static enum submission_state state_of(const struct session *session, uint64_t submission)
{
	return session->pool[handle_index(submission)].state;
}

static bool is_readable(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};

	return poll(&poller, 1, 0) == 1;
}

START_TEST(submissions_of_a_queue_start_in_order_even_when_a_later_one_could)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session), *other = make_job(session);
	struct queue *queue = make_queue(session, SCHED_NORMAL, 0);

	uint64_t first = submit_as(session, (struct submit_request){.job = job->handle}, NULL);
	world_work(&world);
	uint64_t again = submit_as(session, (struct submit_request){.job = job->handle}, NULL);
	uint64_t behind = submit_as(session, (struct submit_request){.job = other->handle}, NULL);
	world_work(&world);
	ck_assert_int_eq(state_of(session, again), SUBMISSION_WAITING);
	ck_assert_int_eq(state_of(session, behind), SUBMISSION_WAITING);
	/* another queue is not held up */
	struct job *third = make_job(session);
	uint64_t aside =
	    submit_as(session, (struct submit_request){.job = third->handle, .queue = queue->handle}, NULL);
	world_work(&world);
	ck_assert_int_eq(state_of(session, aside), SUBMISSION_RUNNING);
	complete(&world, job);
	ck_assert_int_eq(state_of(session, again), SUBMISSION_RUNNING);
	complete(&world, third);
	complete(&world, job);
	complete(&world, other);
	expect(session, first, OUT_DONE);
	expect(session, aside, OUT_DONE);
	expect(session, again, OUT_DONE);
	expect(session, behind, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_submission_starts_after_what_it_depends_on)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session), *b = make_job(session), *c = make_job(session);
	struct queue *queue = make_queue(session, SCHED_NORMAL, 0);

	uint64_t first = run(&world, session, a), second = run(&world, session, b);
	const uint64_t after[] = {first, second};
	uint64_t third = submit_as(
	    session,
	    (struct submit_request){.job = c->handle, .queue = queue->handle, .after = after, .after_count = 2}, NULL);
	complete(&world, a);
	ck_assert_int_eq(state_of(session, third), SUBMISSION_WAITING);
	complete(&world, b);
	ck_assert_int_eq(state_of(session, third), SUBMISSION_RUNNING);
	complete(&world, c);
	expect(session, first, OUT_DONE);
	expect(session, second, OUT_DONE);
	expect(session, third, OUT_DONE);
	/* what was reported counts as done */
	uint64_t fourth =
	    submit_as(session, (struct submit_request){.job = c->handle, .after = after, .after_count = 1}, NULL);
	world_work(&world);
	complete(&world, c);
	expect(session, fourth, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(what_depends_on_a_failure_never_runs_and_neither_does_what_depends_on_that)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session), *b = make_job(session), *c = make_job(session);
	uint64_t first = run(&world, session, a);
	uint64_t second =
	    submit_as(session, (struct submit_request){.job = b->handle, .after = &first, .after_count = 1}, NULL);
	uint64_t third =
	    submit_as(session, (struct submit_request){.job = c->handle, .after = &second, .after_count = 1}, NULL);

	report(&world, NPU_EVENT_EXCEPTION, job_last_tcb(a).v, 0);
	device_irq(world.device);
	world_work(&world);
	expect(session, first, OUT_EXCEPTION);
	expect(session, second, OUT_DEPENDENCY);
	expect(session, third, OUT_DEPENDENCY);
	/* also when it had failed before */
	uint64_t late =
	    submit_as(session, (struct submit_request){.job = c->handle, .after = &third, .after_count = 1}, NULL);
	expect(session, late, OUT_DEPENDENCY);
	ck_assert_uint_eq(session->active, 0);
	world_close(&world);
}
END_TEST

START_TEST(a_long_chain_of_dependencies_ends_at_once_without_a_deep_stack)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *jobs[NPUD_MAX_INFLIGHT_EVENTS];
	uint64_t before = 0;

	for (unsigned i = 0; i < NPUD_MAX_INFLIGHT_EVENTS; i++) {
		jobs[i] = make_job(session);
		before = submit_as(
		    session, (struct submit_request){.job = jobs[i]->handle, .after = &before, .after_count = i > 0},
		    NULL);
	}
	world_work(&world);
	ck_assert_int_eq(session_cancel(session, submission_id(&session->pool[0])), CANCEL_RUNNING);
	world_work(&world);
	ck_assert_uint_eq(session->active, 0);
	expect(session, submission_id(&session->pool[0]), OUT_CANCELLED);
	for (unsigned i = 1; i < NPUD_MAX_INFLIGHT_EVENTS; i++)
		expect(session, submission_id(&session->pool[i]), OUT_DEPENDENCY);
	world_close(&world);
}
END_TEST

START_TEST(a_fence_lets_another_session_wait_and_tells_by_its_descriptor)
{
	struct world world;
	world_open(&world);
	struct session *maker = world_session(&world), *waiter = world_session(&world);
	struct job *job = make_job(maker), *then = make_job(waiter);
	struct fence_made fence;
	struct fence_hold *hold;

	uint64_t first = submit_as(maker, (struct submit_request){.job = job->handle, .want_fence = true}, &fence);
	world_work(&world);
	ck_assert_int_eq(fence_import(waiter, fence.token.bytes, NPUD_FENCE_TOKEN_BYTES, &hold, NULL), 0);
	uint64_t second = submit_as(
	    waiter, (struct submit_request){.job = then->handle, .fences = &hold->handle, .fence_count = 1}, NULL);
	/* who waits needs no hold */
	fence_release(hold);
	ck_assert(!is_readable(fence.notify_fd));
	ck_assert_int_eq(state_of(waiter, second), SUBMISSION_WAITING);
	complete(&world, job);
	ck_assert(is_readable(fence.notify_fd));
	ck_assert_int_eq(fence.hold->fence->completion.state, COMPLETION_DONE);
	device_tick(world.device);
	world_work(&world);
	complete(&world, then);
	expect(maker, first, OUT_DONE);
	expect(waiter, second, OUT_DONE);
	fence_release(fence.hold);
	ck_assert_uint_eq(world.host->fences.live, 0);
	close(fence.notify_fd);
	world_close(&world);
}
END_TEST

START_TEST(a_fence_whose_owner_goes_ends_and_so_does_what_waits_for_it)
{
	struct world world;
	world_open(&world);
	struct session *maker = world_session(&world), *waiter = world_session(&world);
	struct job *job = make_job(maker), *then = make_job(waiter);
	struct fence_made fence;
	struct fence_hold *hold;

	(void)submit_as(maker, (struct submit_request){.job = job->handle, .want_fence = true}, &fence);
	if (_i)
		world_work(&world);
	ck_assert_int_eq(fence_import(waiter, fence.token.bytes, NPUD_FENCE_TOKEN_BYTES, &hold, NULL), 0);
	uint64_t second = submit_as(
	    waiter, (struct submit_request){.job = then->handle, .fences = &hold->handle, .fence_count = 1}, NULL);
	session_close(maker);
	world_work(&world);
	ck_assert_int_eq(hold->fence->completion.state, COMPLETION_GONE);
	ck_assert(is_readable(fence.notify_fd));
	expect(waiter, second, OUT_DEPENDENCY);
	close(fence.notify_fd);
	world_close(&world);
}
END_TEST

START_TEST(a_token_that_was_not_told_names_nothing)
{
	struct world world;
	world_open(&world);
	struct session *maker = world_session(&world), *thief = world_session(&world);
	struct job *job = make_job(maker);
	struct fence_made fence;
	struct fence_hold *hold;

	(void)submit_as(maker, (struct submit_request){.job = job->handle, .want_fence = true}, &fence);
	for (unsigned i = 0; i < NPUD_FENCE_TOKEN_BYTES; i++) {
		struct fence_token token = fence.token;
		token.bytes[i] ^= 1;
		ck_assert_int_eq(fence_import(thief, token.bytes, sizeof(token.bytes), &hold, NULL), -ENOENT);
	}
	ck_assert_int_eq(fence_import(thief, fence.token.bytes, NPUD_FENCE_TOKEN_BYTES - 1, &hold, NULL), -EINVAL);
	/* a handle is its session's */
	ck_assert_int_eq(fence_find(thief, fence.hold->handle, &hold, NULL), -ENOENT);
	close(fence.notify_fd);
	world_close(&world);
}
END_TEST

START_TEST(a_refused_submission_leaves_no_fence_and_no_wait)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t nobody[NPUD_MAX_DEPENDENCIES + 1] = {0};

	uint64_t first = run(&world, session, job);
	nobody[0] = first;
	const struct submit_request bad[] = {
	    {.job = job->handle, .want_fence = true, .after = nobody, .after_count = 2},
	    {.job = job->handle, .want_fence = true, .after = nobody, .after_count = NPUD_MAX_DEPENDENCIES + 1},
	    {.job = job->handle, .want_fence = true, .fences = nobody, .fence_count = 1},
	    {.job = job->handle, .want_fence = true, .queue = 77},
	    {.job = job->handle, .want_fence = true, .after = &(uint64_t){first + (1ull << 32)}, .after_count = 1},
	};
	const int errors[] = {-ENOENT, -EINVAL, -ENOENT, -ENOENT, -ENOENT};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(refusal_of(session, bad[i]), errors[i]);
	ck_assert_uint_eq(session->active, 1);
	ck_assert_uint_eq(world.host->fences.live, 0);
	ck_assert_uint_eq(session->fence_handles.live, 0);
	complete(&world, job);
	expect(session, first, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_queue_in_use_stays_and_limits_are_exact)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	struct queue *queue = make_queue(session, SCHED_IDLE, SCHED_MAX_WEIGHT), *none;
	struct queue_options options = {.class = SCHED_NORMAL, .weight = SCHED_MAX_WEIGHT + 1};

	ck_assert_int_eq(queue_create(session, &options, &none, NULL), -EINVAL);
	options = (struct queue_options){.class = SCHED_CLASSES};
	ck_assert_int_eq(queue_create(session, &options, &none, NULL), -EINVAL);
	uint64_t first = submit_as(session, (struct submit_request){.job = job->handle, .queue = queue->handle}, NULL);
	ck_assert_int_eq(queue_destroy(queue, NULL), -EBUSY);
	options = (struct queue_options){.class = SCHED_HIGH, .weight = 7};
	ck_assert_int_eq(queue_change(queue, &options, NULL), 0);
	ck_assert_int_eq(queue->share.class, SCHED_HIGH);
	ck_assert_uint_eq(queue->share.weight, 7);
	ck_assert_int_eq(queue_destroy(&session->queue, NULL), -EINVAL);
	world_work(&world);
	complete(&world, job);
	expect(session, first, OUT_DONE);
	ck_assert_int_eq(queue_destroy(queue, NULL), 0);
	for (unsigned i = 0; i < NPUD_MAX_QUEUES_PER_SESSION; i++)
		(void)make_queue(session, SCHED_NORMAL, 0);
	ck_assert_int_eq(queue_create(session, &options, &none, NULL), -EDQUOT);
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("queue");
	TCase *tcase = tcase_create("queue");

	tcase_add_test(tcase, submissions_of_a_queue_start_in_order_even_when_a_later_one_could);
	tcase_add_test(tcase, a_submission_starts_after_what_it_depends_on);
	tcase_add_test(tcase, what_depends_on_a_failure_never_runs_and_neither_does_what_depends_on_that);
	tcase_add_test(tcase, a_long_chain_of_dependencies_ends_at_once_without_a_deep_stack);
	tcase_add_test(tcase, a_fence_lets_another_session_wait_and_tells_by_its_descriptor);
	tcase_add_loop_test(tcase, a_fence_whose_owner_goes_ends_and_so_does_what_waits_for_it, 0, 2);
	tcase_add_test(tcase, a_token_that_was_not_told_names_nothing);
	tcase_add_test(tcase, a_refused_submission_leaves_no_fence_and_no_wait);
	tcase_add_test(tcase, a_queue_in_use_stays_and_limits_are_exact);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
