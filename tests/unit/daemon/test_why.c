/* SPDX-License-Identifier: Apache-2.0 */
/* Why a submission is where it is: exact where it can be, and nothing to strangers. */
#include "daemon/core/why.h"
#include "tests/unit/daemon/world.h"

#define BIT(limit) (1u << (limit))

static const struct viewer sees_all = {.all = true};

static struct why why_of(struct world *world, const struct session *session, uint64_t submission)
{
	struct why why;
	struct fail fail;

	ck_assert_int_eq(why_read(world->host, &sees_all, session->id, submission, &why, &fail), 0);
	ck_assert_uint_eq(why.session, session->id);
	ck_assert_uint_eq(why.submission, submission);
	return why;
}

static int error_for(struct world *world, const struct session *viewer, uint64_t session, uint64_t submission)
{
	const struct viewer as = viewer_of(viewer);
	struct why why;
	struct fail fail;

	return why_read(world->host, &as, session, submission, &why, &fail);
}

static uint64_t submit_as(struct session *session, struct submit_request request, struct fence_made *fence)
{
	struct submit_reply reply;

	ck_assert_int_eq(session_submit(session, &request, &reply, NULL), 0);
	if (fence)
		*fence = reply.fence;
	return reply.submission;
}

static void fair_world(struct world *world)
{
	struct host_options options = world_options();

	options.scheduler = &sched_fair;
	world_open_with(world, &options);
}

static struct queue *make_queue(struct session *session, enum sched_class class)
{
	struct queue_options options = {.class = class};
	struct queue *queue;

	ck_assert_int_eq(queue_create(session, &options, &queue, NULL), 0);
	return queue;
}

START_TEST(what_waits_is_told_for_what)
{
	struct fence_made fence;
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	struct job *gate = make_job(session), *job = make_job(session), *other = make_job(session);
	struct queue *queue = make_queue(session, SCHED_HIGH), *third = make_queue(session, SCHED_NORMAL);
	uint64_t first = submit_as(session, (struct submit_request){.job = gate->handle, .want_fence = true}, &fence);
	world_work(&world);
	uint64_t again = submit(session, gate);
	uint64_t behind = submit(session, job);
	const uint64_t after[] = {first, again};
	uint64_t depends = submit_as(session,
				     (struct submit_request){.job = other->handle,
							     .queue = queue->handle,
							     .after = after,
							     .after_count = 2,
							     .fences = &fence.hold->handle,
							     .fence_count = 1},
				     NULL);
	uint64_t run_again =
	    submit_as(session, (struct submit_request){.job = gate->handle, .queue = third->handle}, NULL);

	fake_now.v += 500;
	struct why why = why_of(&world, session, again);
	ck_assert_int_eq(why.state, WHY_WAITING);
	ck_assert_uint_eq(why.age_ns, 500);
	ck_assert_uint_eq(why.job, gate->handle);
	ck_assert_uint_eq(why.queue, 0);
	ck_assert_int_eq(why.class, SCHED_NORMAL);
	ck_assert_uint_eq(why.queue_ahead, 0);
	ck_assert_uint_eq(why.job_ahead, 1);
	ck_assert_uint_eq(why.dependencies + why.fences, 0);
	why = why_of(&world, session, behind);
	ck_assert_int_eq(why.state, WHY_WAITING);
	ck_assert_uint_eq(why.queue_ahead, 1);
	ck_assert_uint_eq(why.job_ahead, 0);
	why = why_of(&world, session, depends);
	ck_assert_int_eq(why.state, WHY_WAITING);
	ck_assert_uint_eq(why.queue, queue->handle);
	ck_assert_int_eq(why.class, SCHED_HIGH);
	ck_assert_uint_eq(why.queue_ahead, 0);
	ck_assert_uint_eq(why.job_ahead, 0);
	ck_assert_uint_eq(why.dependencies, 2);
	ck_assert_uint_eq(why.fences, 1);
	ck_assert_uint_eq(why_of(&world, session, run_again).job_ahead, 2);
	complete(&world, gate);
	why = why_of(&world, session, depends);
	ck_assert_uint_eq(why.dependencies, 1);
	ck_assert_uint_eq(why.fences, 0);
	close(fence.notify_fd);
	world_close(&world);
}
END_TEST

/* Two are in the hardware; four of this session come before the one that is asked about, two of another tenant. */
START_TEST(the_position_of_what_is_queued_is_exact)
{
	struct world world;
	uint64_t last = 0;

	world_open(&world); /* in order of arrival */
	struct session *session = world_session_of(&world, 1000), *other = world_session_of(&world, 2000);
	struct job *gate = make_job(session), *next = make_job(session);
	run(&world, session, gate);
	run(&world, session, next);
	struct job *jobs[5];
	for (unsigned i = 0; i < 5; i++) {
		if (i == 1 || i == 2)
			submit(other, make_job(other));
		jobs[i] = make_job(session);
		jobs[i]->estimate_ns = 1000;
		last = submit(session, jobs[i]);
	}
	struct why why = why_of(&world, session, last);
	ck_assert_int_eq(why.state, WHY_QUEUED);
	ck_assert_uint_eq(why.order.position, 6);
	ck_assert_uint_eq(why.order.ahead[SCHED_NORMAL], 6);
	ck_assert_uint_eq(why.order.ahead[SCHED_HIGH], 0);
	ck_assert_uint_eq(why.order.ahead_of_tenant, 4);
	ck_assert_uint_eq(why.in_flight, 2);
	ck_assert_uint_eq(why.limits, BIT(WHY_ORDER) | BIT(WHY_IN_FLIGHT));
	complete(&world, gate);
	why = why_of(&world, session, last);
	ck_assert_uint_eq(why.order.position, 5);
	session_close(session);
	session_close(other);
	world_close(&world);
}
END_TEST

START_TEST(better_classes_are_counted_by_class)
{
	struct world world;

	fair_world(&world);
	struct session *session = world_session(&world);
	struct queue *high = make_queue(session, SCHED_HIGH);
	for (unsigned i = 0; i < 2; i++)
		run(&world, session, make_job(session));
	for (unsigned i = 0; i < 3; i++)
		submit_as(session, (struct submit_request){.job = make_job(session)->handle, .queue = high->handle},
			  NULL);
	submit(session, make_job(session));
	struct why why = why_of(&world, session, submit(session, make_job(session)));
	ck_assert_uint_eq(why.order.ahead[SCHED_HIGH], 3);
	ck_assert_uint_eq(why.order.ahead[SCHED_NORMAL], 1);
	ck_assert_uint_eq(why.order.position, 4);
	session_close(session);
	world_close(&world);
}
END_TEST

START_TEST(the_estimate_adds_what_is_ahead_and_what_is_left_on_the_device)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	struct job *jobs[4];
	uint64_t names[4];
	for (unsigned i = 0; i < 4; i++) {
		jobs[i] = make_job(session);
		jobs[i]->estimate_ns = 100000;
		names[i] = run(&world, session, jobs[i]);
	}
	fake_now.v += 30000;
	ck_assert_uint_eq(why_of(&world, session, names[2]).wait_ns, 170000);
	ck_assert_uint_eq(why_of(&world, session, names[3]).wait_ns, 270000);
	/* what takes longer than it should is not taken from the others */
	fake_now.v += 100000;
	ck_assert_uint_eq(why_of(&world, session, names[3]).wait_ns, 200000);
	session_close(session);
	world_close(&world);
}
END_TEST

START_TEST(another_session_on_the_device_is_named_as_the_reason)
{
	struct world world;

	world_open(&world);
	struct session *holder = world_session_of(&world, 1000), *session = world_session_of(&world, 2000);
	struct job *gate = make_job(holder), *more = make_job(holder);
	run(&world, holder, gate);
	uint64_t waits = submit(session, make_job(session));
	struct why why = why_of(&world, session, waits);
	ck_assert_int_eq(why.state, WHY_QUEUED);
	ck_assert_uint_eq(why.order.position, 0);
	ck_assert_uint_eq(why.limits, BIT(WHY_TENURE));
	/* nothing has been measured yet: the quantum is what the test says */
	world.device->quantum.stay_until_ns = fake_now.v + 2 * gate->estimate_ns;
	ck_assert_uint_eq(why_of(&world, session, waits).limits, BIT(WHY_TENURE));
	world.device->in_flight_count += 2; /* keep the next one out of the hardware */
	submit(holder, more);
	world.device->in_flight_count -= 2;
	ck_assert_uint_eq(why_of(&world, session, waits).limits, BIT(WHY_TENURE) | BIT(WHY_QUANTUM));
	/* what runs takes until its end: nothing more of the holder's goes to the device */
	world.device->quantum.stay_until_ns = fake_now.v + gate->estimate_ns;
	ck_assert_uint_eq(why_of(&world, session, waits).limits, BIT(WHY_TENURE));
	session_close(holder);
	session_close(session);
	world_close(&world);
}
END_TEST

START_TEST(a_device_that_changes_hands_is_the_reason)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	uint64_t waits = submit(session, make_job(session));
	struct why why = why_of(&world, session, waits);
	ck_assert_int_eq(why.state, WHY_QUEUED);
	ck_assert_uint_eq(why.limits, BIT(WHY_DEVICE_CHANGING));
	world_work(&world);
	ck_assert_int_eq(why_of(&world, session, waits).state, WHY_RUNNING);
	world_close(&world);
}
END_TEST

START_TEST(a_device_that_recovers_is_the_reason)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	struct job *bad = make_job(session);
	run(&world, session, bad);
	run(&world, session, make_job(session));
	uint64_t waits = run(&world, session, make_job(session));
	report(&world, NPU_EVENT_EXCEPTION, job_last_tcb(bad).v, 0);
	device_irq(world.device);
	uint32_t limits = why_of(&world, session, waits).limits;
	ck_assert(limits & BIT(WHY_DEVICE_RECOVERING));
	world_work(&world);
	session_close(session);
	world_close(&world);
}
END_TEST

START_TEST(a_tenant_without_time_is_told_until_when)
{
	struct host_options options = world_options();
	struct world world;

	options.scheduler = &sched_fair;
	options.tenants.fallback.time_permille = 100;
	world_open_with(&world, &options);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	run(&world, session, job);
	fake_now.v += 2 * NSEC_PER_SEC / 10; /* twice the burst */
	complete(&world, job);
	struct why why = why_of(&world, session, submit(session, job));
	ck_assert_int_eq(why.state, WHY_QUEUED);
	ck_assert(why.limits & BIT(WHY_TENANT_TIME));
	ck_assert_uint_gt(why.order.throttled_ns, 0);
	ck_assert_uint_ge(why.wait_ns, why.order.throttled_ns);
	fake_now.v += 10 * NSEC_PER_SEC; /* it owes nothing any more */
	session_close(session);
	world_close(&world);
}
END_TEST

START_TEST(what_runs_is_told_since_when_and_how_much_is_left)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	struct job *gate = make_job(session), *job = make_job(session);
	uint64_t first = submit_as(session, (struct submit_request){.job = gate->handle, .budget_ns = 9000}, NULL);
	world_work(&world);
	uint64_t second = run(&world, session, job);
	fake_now.v += 4000;
	struct why why = why_of(&world, session, first);
	ck_assert_int_eq(why.state, WHY_RUNNING);
	ck_assert_uint_eq(why.device_ahead, 0);
	ck_assert_uint_eq(why.running_ns, 4000);
	ck_assert_uint_eq(why.budget_left_ns, 5000);
	why = why_of(&world, session, second);
	ck_assert_int_eq(why.state, WHY_RUNNING);
	ck_assert_uint_eq(why.device_ahead, 1);
	ck_assert_uint_eq(why.running_ns, 0);
	ck_assert_uint_eq(why.budget_left_ns, NSEC_PER_SEC);
	complete(&world, gate);
	fake_now.v += 100;
	ck_assert_uint_eq(why_of(&world, session, second).running_ns, 100);
	complete(&world, job);
	world_close(&world);
}
END_TEST

START_TEST(what_has_ended_has_its_outcome_until_the_client_knows)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t first = run(&world, session, job);
	complete(&world, job);
	struct why why = why_of(&world, session, first);
	ck_assert_int_eq(why.state, WHY_ENDED);
	ck_assert_int_eq(why.outcome, OUT_DONE);
	expect(session, first, OUT_DONE);
	why = why_of(&world, session, first);
	ck_assert_int_eq(why.state, WHY_ENDED);
	ck_assert_int_eq(why.outcome, 0);
	/* its place is another's by now */
	for (unsigned i = 0; i < NPUD_MAX_INFLIGHT_EVENTS; i++) {
		uint64_t name = run(&world, session, job);
		ck_assert_int_eq(why_of(&world, session, first).state, WHY_ENDED);
		complete(&world, job);
		expect(session, name, OUT_DONE);
	}
	world_close(&world);
}
END_TEST

START_TEST(strangers_and_names_that_never_were_find_nothing)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session_of(&world, 1000), *same = world_session_of(&world, 1000);
	struct session *stranger = world_session_of(&world, 2000);
	uint64_t name = run(&world, session, make_job(session));
	ck_assert_int_eq(error_for(&world, session, session->id, name), 0);
	ck_assert_int_eq(error_for(&world, same, session->id, name), 0);
	ck_assert_int_eq(error_for(&world, stranger, session->id, name), -ENOENT);
	ck_assert_int_eq(error_for(&world, stranger, 999, name), -ENOENT);
	stranger->identity.rights = RIGHT_BIT(RIGHT_SESSIONS);
	ck_assert_int_eq(error_for(&world, stranger, session->id, name), 0);
	/* same has never had a job: it has no submissions at all */
	ck_assert_int_eq(error_for(&world, session, same->id, name), -ENOENT);
	static const uint64_t wrong[] = {0, 1, 1ull << 32, 2ull << 32 | 1, 1ull << 32 | 257, UINT64_MAX};
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_int_eq(error_for(&world, session, session->id, wrong[i]), -ENOENT);
	session_close(session);
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("why");
	TCase *tcase = tcase_create("why");

	tcase_add_test(tcase, what_waits_is_told_for_what);
	tcase_add_test(tcase, the_position_of_what_is_queued_is_exact);
	tcase_add_test(tcase, better_classes_are_counted_by_class);
	tcase_add_test(tcase, the_estimate_adds_what_is_ahead_and_what_is_left_on_the_device);
	tcase_add_test(tcase, another_session_on_the_device_is_named_as_the_reason);
	tcase_add_test(tcase, a_device_that_changes_hands_is_the_reason);
	tcase_add_test(tcase, a_device_that_recovers_is_the_reason);
	tcase_add_test(tcase, a_tenant_without_time_is_told_until_when);
	tcase_add_test(tcase, what_runs_is_told_since_when_and_how_much_is_left);
	tcase_add_test(tcase, what_has_ended_has_its_outcome_until_the_client_knows);
	tcase_add_test(tcase, strangers_and_names_that_never_were_find_nothing);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
