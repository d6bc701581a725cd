/* SPDX-License-Identifier: Apache-2.0 */
/* Promises to sessions: cancel and death in every state, exactly one outcome for everything. */
#include "tests/unit/daemon/world.h"

/* ------------------------------------------------------------------ cancel */

START_TEST(a_queued_submission_that_is_cancelled_never_runs)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	struct job *other = make_job(session);
	struct job *third = make_job(session);
	uint64_t first = run(&world, session, job);
	uint64_t behind = run(&world, session, job);
	run(&world, session, other);
	uint64_t queued = run(&world, session, third);

	ck_assert_int_eq(session_cancel(session, behind), CANCEL_QUEUED);
	ck_assert_int_eq(session_cancel(session, queued), CANCEL_QUEUED);
	expect(session, behind, OUT_CANCELLED);
	expect(session, queued, OUT_CANCELLED);
	ck_assert_int_eq(session_cancel(session, queued), CANCEL_FINISHED);
	world_work(&world);
	complete(&world, other);
	expect(session, first, OUT_DONE);
	ck_assert_uint_eq(world.fake->dispatches, 2);
	world_close(&world);
}
END_TEST

START_TEST(a_submission_cancelled_during_a_switch_never_runs)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t submission = submit(session, job);

	ck_assert_int_eq(world.device->state, DEV_SWITCHING);
	ck_assert_int_eq(session_cancel(session, submission), CANCEL_QUEUED);
	ck_assert_int_eq(job_destroy(job, NULL), 0);
	world_work(&world);
	expect(session, submission, OUT_CANCELLED);
	ck_assert_uint_eq(world.fake->dispatches, 0);
	world_close(&world);
}
END_TEST

START_TEST(a_running_submission_that_is_cancelled_is_aborted_and_its_neighbour_runs_again)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session);
	struct job *b = make_job(session);
	uint64_t first = run(&world, session, a);
	uint64_t second = run(&world, session, b);

	ck_assert_int_eq(session_cancel(session, first), CANCEL_RUNNING);
	world_work(&world);
	expect(session, first, OUT_CANCELLED);
	ck_assert(!has_result(session));
	ck_assert_uint_eq(world.device->counters.aborts, 1);
	/* not started: it is dispatched again, as the head of a new chain */
	ck_assert_uint_eq(world.fake->dispatches, 3);
	ck_assert(world.fake->firsts[2]);
	complete(&world, b);
	expect(session, second, OUT_DONE);
	world_close(&world);
}
END_TEST

static struct npu_event done_of(const struct job *job)
{
	return (struct npu_event){.kind = NPU_EVENT_DONE, .tcb_pointer = job_last_tcb(job).v, .status = 0x201};
}

START_TEST(a_job_that_ends_while_the_abort_is_on_its_way_has_ended)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session);
	struct job *b = make_job(session);
	uint64_t first = run(&world, session, a);
	uint64_t second = run(&world, session, b);
	const struct npu_event done = done_of(a);

	session_cancel(session, first);
	world.fake->beats_abort = &done;
	world_work(&world);
	expect(session, first, OUT_DONE);
	/* then what is behind it may have begun: it is not run a second time */
	expect(session, second, OUT_DEVICE_RESET);
	ck_assert_uint_eq(world.fake->dispatches, 2);
	world_close(&world);
}
END_TEST

START_TEST(nothing_begins_behind_a_job_that_is_being_aborted)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session);
	struct job *b = make_job(session);
	uint64_t first = run(&world, session, a);
	uint64_t second = run(&world, session, b);

	ck_assert_uint_ne(arena_hold(session->space, 0)->task.next, 0);
	session_cancel(session, first);
	/* the worker has not begun; the device can find no more than what it has found */
	ck_assert_int_eq(world.device->state, DEV_RECOVERING);
	ck_assert_uint_eq(world.fake->dispatches, 2);
	for (uint32_t i = 0; i < ARENA_HOLDS; i++)
		ck_assert_uint_eq(arena_hold(session->space, i)->task.next, 0);
	world_work(&world);
	expect(session, first, OUT_CANCELLED);
	complete(&world, b);
	expect(session, second, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(what_a_failed_abort_has_heard_counts_after_the_reset)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session);
	struct job *b = make_job(session);
	uint64_t first = run(&world, session, a);
	uint64_t second = run(&world, session, b);
	const struct npu_event done = done_of(a);

	session_cancel(session, first);
	world.fake->beats_abort = &done;
	world.fake->failing = FAKE_STAYS_BUSY;
	world_work(&world);
	world.fake->failing = 0;
	ck_assert_uint_eq(world.device->counters.resets, 1);
	expect(session, first, OUT_DONE);
	expect(session, second, OUT_DEVICE_RESET);
	ck_assert_uint_eq(world.fake->dispatches, 2);
	world_close(&world);
}
END_TEST

START_TEST(a_flood_of_prints_does_not_hide_a_completion_from_an_abort)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t submission = run(&world, session, job);
	const struct npu_event done = done_of(job);

	session_cancel(session, submission);
	for (int i = 0; i < 40; i++)
		report(&world, NPU_EVENT_SIGNAL, 0, ZY3_SIGNAL_PRINT);
	world.fake->beats_abort = &done;
	world_work(&world);
	expect(session, submission, OUT_DONE);
	ck_assert_uint_eq(world.device->counters.resets, 0);
	world_close(&world);
}
END_TEST

START_TEST(a_device_that_does_not_fall_silent_after_an_abort_is_reset)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t submission = run(&world, session, job);

	session_cancel(session, submission);
	world.fake->endless = true;
	ck_assert(worker_step(world.device->worker));
	world.fake->endless = false;
	world_work(&world);
	expect(session, submission, OUT_CANCELLED);
	ck_assert_uint_eq(world.device->counters.resets, 1);
	world_close(&world);
}
END_TEST

START_TEST(cancelling_what_waits_in_the_hardware_does_not_hurt_what_runs_before_it)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session);
	struct job *b = make_job(session);
	uint64_t first = run(&world, session, a);
	uint64_t second = run(&world, session, b);

	ck_assert_int_eq(session_cancel(session, second), CANCEL_RUNNING);
	world_work(&world);
	ck_assert_uint_eq(world.device->counters.aborts, 0);
	complete(&world, a);
	expect(session, first, OUT_DONE);
	expect(session, second, OUT_CANCELLED);
	ck_assert_uint_eq(world.device->counters.aborts, 1);
	world_close(&world);
}
END_TEST

START_TEST(a_completion_that_races_with_a_cancel_counts)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t submission = run(&world, session, job);

	session_cancel(session, submission);
	report(&world, NPU_EVENT_DONE, job_last_tcb(job).v, 0);
	world_work(&world);
	expect(session, submission, OUT_DONE);
	world_close(&world);
}
END_TEST

/* ------------------------------------------------------------------ death */

/* Where the client dies: before, during and after everything that a submission goes through. */
START_TEST(a_client_that_dies_leaves_nothing)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct session *other = world_session_of(&world, 1001);
	struct job *other_job = make_job(other);
	struct job *a = _i > 0 ? make_job(session) : NULL;
	struct job *b = _i > 0 ? make_job(session) : NULL;

	if (_i >= 2)
		submit(session, a); /* switching */
	if (_i >= 3)
		world_work(&world); /* running */
	if (_i >= 4) {
		run(&world, session, a); /* waiting */
		run(&world, session, b);
		run(&world, session, b);
	}
	if (_i >= 5)
		buffer_release(a->buffers[0]);
	if (_i == 6)
		complete(&world, a); /* a completion that nobody read */
	if (_i == 7)
		session_cancel(session, (uint64_t)1 << 32 | 1); /* recovering */
	if (_i == 8) {
		world.fake->gone = true;
		device_life(world.device);
	}
	session_close(session);
	world_work(&world);
	ck_assert_uint_eq(world.host->session_count, 1);
	ck_assert_uint_eq(world.device->in_flight_count, 0);
	ck_assert_uint_eq(world.device->mapping_count, 0);
	ck_assert_uint_eq(world.host->quota.used[QUOTA_BUFFERS], 1);
	if (_i != 8) {
		uint64_t submission = run(&world, other, other_job);
		complete(&world, other_job);
		expect(other, submission, OUT_DONE);
	}
	world_close(&world);
}
END_TEST

/* ------------------------------------------------------------------ everything at random */

static unsigned next_random(unsigned *state)
{
	*state = *state * 1103515245u + 12345u;
	return *state >> 16;
}

struct chaos {
	struct world world;
	struct session *sessions[3];
	struct job *jobs[3][3];
	uint64_t submitted[3];
	uint64_t ended[3];
};

static void collect_results(struct chaos *chaos, int s)
{
	struct session_event event;

	for (;;) {
		session_peek_event(chaos->sessions[s], &event);
		if (event.kind == EVENT_NONE)
			return;
		if (event.kind == EVENT_DONE) {
			ck_assert_int_ge(event.submission->result.outcome, OUT_DONE);
			chaos->ended[s]++;
		}
		session_pop_event(chaos->sessions[s], &event);
	}
}

static void chaos_step(struct chaos *chaos, unsigned *seed)
{
	struct world *world = &chaos->world;
	int s = (int)(next_random(seed) % 3);
	struct job *job = chaos->jobs[s][next_random(seed) % 3];
	uint64_t submission;

	switch (next_random(seed) % 8) {
	case 0:
	case 1:
	case 2:
		if (try_submit(chaos->sessions[s], job, 0, &submission, NULL) == 0)
			chaos->submitted[s]++;
		break;
	case 3:
		worker_step(world->device->worker);
		break;
	case 4:
		if (world->fake->event_count < FAKE_EVENTS / 2)
			report(world, next_random(seed) % 5 ? NPU_EVENT_DONE : NPU_EVENT_FAULT, job_last_tcb(job).v, 0);
		device_irq(world->device);
		break;
	case 5:
		fake_now.v += next_random(seed) % (2 * NSEC_PER_SEC);
		world->fake->idle = next_random(seed) % 2;
		device_tick(world->device);
		break;
	case 6:
		session_cancel(chaos->sessions[s],
			       (uint64_t)(1 + next_random(seed) % 4) << 32 | (1 + next_random(seed) % 8));
		break;
	default:
		world->fake->failing = next_random(seed) % 6 ? 0 : FAKE_ABORT | FAKE_STAYS_BUSY;
		collect_results(chaos, s);
		break;
	}
}

/* Half of the times in address spaces of their own, half in one. */
START_TEST(every_submission_ends_exactly_once_whatever_happens)
{
	struct chaos chaos = {0};
	unsigned seed = (unsigned)_i + 1;
	bool shares = _i % 2;

	struct host_options options = world_options();
	options.tenants.fallback.address_space = shares ? TENANT_SPACE_SHARED : TENANT_SPACE_PRIVATE;
	world_open_with(&chaos.world, &options);
	for (int s = 0; s < 3; s++) {
		chaos.sessions[s] = world_session_of(&chaos.world, (uid_t)s);
		for (int j = 0; j < 3; j++)
			chaos.jobs[s][j] = make_job(chaos.sessions[s]);
	}
	for (int i = 0; i < 3000; i++)
		chaos_step(&chaos, &seed);
	chaos.world.fake->failing = 0;
	/* let everything end: by its budget if need be */
	for (int i = 0; i < 2000 && chaos.world.host->counters.submissions; i++) {
		world_work(&chaos.world);
		pass_time(&chaos.world, 2 * NSEC_PER_SEC);
	}
	for (int s = 0; s < 3; s++) {
		collect_results(&chaos, s);
		ck_assert_uint_eq(chaos.submitted[s], chaos.ended[s]);
		ck_assert_uint_eq(chaos.sessions[s]->active, 0);
	}
	world_close(&chaos.world);
}
END_TEST

START_TEST(credits_run_out_for_a_client_that_does_not_read)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	struct fail fail;
	uint64_t submission;

	for (unsigned i = 0; i < NPUD_MAX_INFLIGHT_EVENTS; i++)
		submit(session, job);
	ck_assert_int_eq(try_submit(session, job, 0, &submission, &fail), -EDQUOT);
	ck_assert_str_eq(fail.limit, "event_credits");
	world_work(&world);
	complete(&world, job);
	/* ended, but not read: still no credit */
	ck_assert_int_eq(try_submit(session, job, 0, &submission, &fail), -EDQUOT);
	next_result(session, NULL);
	submit(session, job);
	world_close(&world);
}
END_TEST

/* Nothing that comes back to it afterwards would remind anybody of it. */
START_TEST(a_session_that_has_returned_everything_ends_with_its_tenure)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	struct buffer *buffer = job->buffers[0];

	(void)run(&world, session, job);
	complete(&world, job);
	world_work(&world);
	job_free(job);
	buffer_release(buffer);
	device_pump(world.device);
	world_work(&world);
	ck_assert(list_empty(&session->buffers));
	ck_assert_ptr_eq(world.device->attached, session->space);
	session_close(session);
	world_work(&world);
	ck_assert_uint_eq(world.host->session_count, 0);
	world_close(&world);
}
END_TEST

/* One at a time, and the device's worker does not get to anything: only what the worker has to return still counts. */
START_TEST(who_only_connects_and_goes_is_not_counted_any_more)
{
	struct host_options options = world_options();
	struct world world;
	struct fail fail;
	struct session *session;

	options.tenants.fallback.maximum[QUOTA_SESSIONS] = 2;
	world_open_with(&world, &options);
	struct session *works = world_session(&world);
	struct job *job = make_job(works);
	(void)submit(works, job); /* the device changes hands for it */
	for (unsigned i = 0; i < 300; i++) {
		session = world_session(&world);
		session_close(session);
		ck_assert_uint_eq(world.host->session_count, 2); /* not in the middle of what closed it */
		worker_reap(world.device->worker);
		ck_assert_uint_eq(world.host->session_count, 1);
	}
	session = world_session(&world);
	make_job(session);
	session_close(session);
	worker_reap(world.device->worker);
	ck_assert_int_eq(session_open(world.host, &works->identity, NULL, NULL, &session, &fail), -EDQUOT);
	ck_assert_str_eq(fail.limit, "sessions");
	world_work(&world);
	ck_assert_uint_eq(world.host->session_count, 1);
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session");
	TCase *tcase = tcase_create("session");

	tcase_add_test(tcase, a_queued_submission_that_is_cancelled_never_runs);
	tcase_add_test(tcase, a_submission_cancelled_during_a_switch_never_runs);
	tcase_add_test(tcase, a_running_submission_that_is_cancelled_is_aborted_and_its_neighbour_runs_again);
	tcase_add_test(tcase, a_job_that_ends_while_the_abort_is_on_its_way_has_ended);
	tcase_add_test(tcase, nothing_begins_behind_a_job_that_is_being_aborted);
	tcase_add_test(tcase, what_a_failed_abort_has_heard_counts_after_the_reset);
	tcase_add_test(tcase, a_flood_of_prints_does_not_hide_a_completion_from_an_abort);
	tcase_add_test(tcase, a_device_that_does_not_fall_silent_after_an_abort_is_reset);
	tcase_add_test(tcase, cancelling_what_waits_in_the_hardware_does_not_hurt_what_runs_before_it);
	tcase_add_test(tcase, a_completion_that_races_with_a_cancel_counts);
	tcase_add_loop_test(tcase, a_client_that_dies_leaves_nothing, 0, 9);
	tcase_add_loop_test(tcase, every_submission_ends_exactly_once_whatever_happens, 0, 40);
	tcase_add_test(tcase, credits_run_out_for_a_client_that_does_not_read);
	tcase_add_test(tcase, a_session_that_has_returned_everything_ends_with_its_tenure);
	tcase_add_test(tcase, who_only_connects_and_goes_is_not_counted_any_more);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
