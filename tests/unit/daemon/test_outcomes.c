/* SPDX-License-Identifier: Apache-2.0 */
/* What a recovery makes of each submission that it meets: guilty, behind it, before it, restartable, of others,
 * unlucky. */
#include "daemon/core/offence.h"
#include "tests/unit/daemon/world.h"

static void raise_exception(struct world *world, const struct job *job)
{
	report(world, NPU_EVENT_EXCEPTION, job_last_tcb(job).v, 0);
	device_irq(world->device);
	world_work(world);
}

/* ------------------------------------------------------------------ innocents */

START_TEST(what_may_have_started_ends_as_device_reset)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *first = make_job(session), *second = make_job(session);
	uint64_t started = run(&world, session, first), behind = run(&world, session, second);

	lose_the_device(&world);
	uint64_t which;
	struct submission_result result = next_result(session, &which);
	ck_assert_uint_eq(which, started);
	ck_assert_int_eq(result.outcome, OUT_DEVICE_RESET);
	ck_assert(result.started);
	/* the one behind it had not begun, and its client hears nothing */
	ck_assert(!has_result(session));
	complete(&world, second);
	expect(session, behind, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(what_may_run_twice_is_run_again_in_its_old_place)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *first = make_job(session), *second = make_job(session);
	uint64_t started = run_restartable(&world, first), behind = run(&world, session, second);

	lose_the_device(&world);
	ck_assert(!has_result(session));
	ck_assert_uint_eq(world.device->in_flight_count, 2);
	ck_assert_uint_eq(submission_id(device_oldest(world.device)), started);
	complete(&world, first);
	expect(session, started, OUT_DONE);
	complete(&world, second);
	expect(session, behind, OUT_DONE);
	world_close(&world);
}
END_TEST

/* The innocents are of the guilty's own session, each in a queue of its own, as deep as the hardware takes them. */
START_TEST(a_hang_in_one_queue_costs_the_other_queues_of_its_session_nothing)
{
	struct host_options options = world_options();
	const struct queue_options normal = {.class = SCHED_NORMAL};
	struct world world;
	options.max_in_flight = 3;
	options.max_in_flight_ns = UINT64_MAX;
	world_open_with(&world, &options);
	struct session *session = world_session(&world);
	struct job *hung = make_job(session), *two = make_job(session), *three = make_job(session);
	struct queue *queue[2];
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(queue_create(session, &normal, &queue[i], NULL), 0);

	uint64_t guilty = run(&world, session, hung);
	uint64_t second = run_in(&world, queue[0], two, false), third = run_in(&world, queue[1], three, false);
	uint64_t behind = run_in(&world, queue[0], hung, false);
	ck_assert_uint_eq(world.device->in_flight_count, 3);
	pass_time(&world, NSEC_PER_SEC);
	expect(session, guilty, OUT_TIMEOUT);
	ck_assert(!has_result(session));
	/* on the device again, in the order in which they came */
	ck_assert_uint_eq(submission_id(device_oldest(world.device)), second);
	complete(&world, two);
	complete(&world, three);
	complete(&world, hung);
	expect(session, second, OUT_DONE);
	expect(session, third, OUT_DONE);
	expect(session, behind, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(what_is_hit_twice_ends_though_it_may_run_again)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t unlucky = run_restartable(&world, job);

	lose_the_device(&world);
	ck_assert(!has_result(session));
	lose_the_device(&world);
	expect(session, unlucky, OUT_DEVICE_RESET);
	/* that was this run's luck, not the job's: the next one begins anew */
	uint64_t next = run_restartable(&world, job);
	lose_the_device(&world);
	complete(&world, job);
	expect(session, next, OUT_DONE);
	/* and nobody is restartable by inheritance */
	uint64_t other = run(&world, session, job);
	lose_the_device(&world);
	expect(session, other, OUT_DEVICE_RESET);
	world_close(&world);
}
END_TEST

START_TEST(the_guilty_is_never_run_again)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t guilty = run_restartable(&world, job);

	pass_time(&world, NSEC_PER_SEC);
	expect(session, guilty, OUT_TIMEOUT);
	ck_assert_uint_eq(world.device->in_flight_count, 0);
	world_close(&world);
}
END_TEST

/* It ended while the abort was on its way: the abort met the one behind it, which may have begun. */
START_TEST(who_is_aborted_in_place_of_the_guilty_may_run_again)
{
	const bool restartable = _i;
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *late = make_job(session), *next = make_job(session);
	uint64_t accused = run(&world, session, late), behind = run_in(&world, NULL, next, restartable);
	const struct npu_event end = {.kind = NPU_EVENT_DONE, .tcb_pointer = job_last_tcb(late).v};

	world.fake->beats_abort = &end;
	pass_time(&world, NSEC_PER_SEC);
	expect(session, accused, OUT_DONE);
	if (restartable)
		complete(&world, next);
	expect(session, behind, restartable ? OUT_DONE : OUT_DEVICE_RESET);
	world_close(&world);
}
END_TEST

START_TEST(a_cancelled_innocent_is_not_run_again)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session), *b = make_job(session);
	uint64_t first = run_restartable(&world, a), second = run_restartable(&world, b);

	ck_assert_int_eq(session_cancel(session, second), CANCEL_RUNNING);
	lose_the_device(&world);
	expect(session, second, OUT_CANCELLED);
	complete(&world, a);
	expect(session, first, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_device_that_does_not_come_back_ends_the_restartable_too)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t running = run_restartable(&world, job);

	world.fake->gone = true;
	device_life(world.device);
	world_work(&world);
	uint64_t which;
	struct submission_result result = next_result(session, &which);
	ck_assert_uint_eq(which, running);
	ck_assert_int_eq(result.outcome, OUT_DEVICE_GONE);
	ck_assert(result.started);
	world_close(&world);
}
END_TEST

/* ------------------------------------------------------------------ at once */

START_TEST(an_error_interrupt_is_acted_upon_at_once)
{
	static const int kinds[] = {NPU_EVENT_FAULT, NPU_EVENT_EXCEPTION, NPU_EVENT_ERROR};
	static const enum outcome outcomes[] = {OUT_FAULT, OUT_EXCEPTION, OUT_EXCEPTION};
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t guilty = run(&world, session, job);
	uint64_t before = fake_now.v;

	report(&world, kinds[_i], job_last_tcb(job).v, 0);
	device_irq(world.device);
	/* in the interrupt itself, no tick and no budget is waited for */
	ck_assert_int_eq(world.device->state, DEV_RECOVERING);
	world_work(&world);
	ck_assert_int_eq(next_result(session, NULL).outcome, outcomes[_i]);
	ck_assert_uint_eq(fake_now.v, before);
	(void)guilty;
	world_close(&world);
}
END_TEST

/* ------------------------------------------------------------------ what it cost */

START_TEST(each_climb_is_counted_by_rung)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	const struct recovery_count *count = world.device->recovery.count;

	run(&world, session, job);
	world.fake->failing = FAKE_ABORT;
	pass_time(&world, NSEC_PER_SEC);
	ck_assert_uint_eq(count[RECOVERY_ABORT].attempts, 1);
	ck_assert_uint_eq(count[RECOVERY_ABORT].failures, 1);
	ck_assert_uint_eq(count[RECOVERY_SOFT_RESET].attempts, 1);
	ck_assert_uint_eq(count[RECOVERY_SOFT_RESET].failures, 0);
	/* the clock stands still but for what the test says */
	world.fake->failing = 0;
	run(&world, session, job);
	fake_now.v += NSEC_PER_SEC;
	device_tick(world.device);
	fake_now.v += 123;
	world_work(&world);
	ck_assert_uint_eq(count[RECOVERY_ABORT].attempts, 2);
	ck_assert_uint_eq(count[RECOVERY_ABORT].last_ns, 123);
	/* gone in the middle of a rung */
	run(&world, session, job);
	fake_now.v += NSEC_PER_SEC;
	device_tick(world.device);
	world.fake->gone = true;
	world_work(&world);
	ck_assert_int_eq(world.device->state, DEV_GONE);
	ck_assert_uint_eq(count[RECOVERY_ABORT].attempts, 3);
	ck_assert_uint_eq(count[RECOVERY_ABORT].failures, 2);
	ck_assert(!world.device->recovery.climbing);
	world_close(&world);
}
END_TEST

/* ------------------------------------------------------------------ quarantine */

static void open_strict(struct world *world)
{
	struct host_options options = world_options();

	options.quarantine = (struct quarantine_rules){.session_threshold = 2,
						       .tenant_threshold = 3,
						       .half_life_ns = 10 * NSEC_PER_SEC,
						       .minimum_ns = NSEC_PER_SEC};
	world_open_with(world, &options);
}

static void offend(struct world *world, struct session *session, const struct job *job)
{
	run(world, session, job);
	raise_exception(world, job);
	ck_assert_int_eq(next_result(session, NULL).outcome, OUT_EXCEPTION);
}

static int refusal(struct session *session, const struct job *job, struct fail *fail)
{
	uint64_t ignored;

	return try_submit(session, job, 0, &ignored, fail);
}

START_TEST(a_repeat_offender_is_stopped_and_its_neighbours_go_on)
{
	struct world world;
	open_strict(&world);
	struct session *offender = world_session(&world), *sibling = world_session(&world);
	struct session *neighbour = world_session_of(&world, 1001);
	struct job *bad = make_job(offender), *more = make_job(offender), *fine = make_job(sibling),
		   *good = make_job(neighbour);
	struct fail fail;

	offend(&world, offender, bad);
	run(&world, offender, bad);
	uint64_t in_hardware = run(&world, offender, more), waiting = submit(offender, bad);
	uint64_t others = submit(neighbour, good);
	raise_exception(&world, bad);
	ck_assert_int_eq(next_result(offender, NULL).outcome, OUT_EXCEPTION);
	/* what had not begun never will: one was behind it in hardware, one behind its job */
	for (int i = 0; i < 2; i++) {
		uint64_t which;
		struct submission_result result = next_result(offender, &which);
		ck_assert(which == in_hardware || which == waiting);
		ck_assert_int_eq(result.outcome, OUT_QUARANTINED);
		ck_assert(!result.started);
		ck_assert_ptr_nonnull(result.reason);
	}
	ck_assert_int_eq(refusal(offender, bad, &fail), -ECANCELED);
	ck_assert_ptr_nonnull(strstr(fail.text, "quarantined"));
	ck_assert_ptr_nonnull(strstr(fail.text, "wait 1 s"));
	/* one session of a tenant is not the tenant */
	complete(&world, good);
	expect(neighbour, others, OUT_DONE);
	uint64_t also = run(&world, sibling, fine);
	complete(&world, fine);
	expect(sibling, also, OUT_DONE);
	ck_assert_uint_eq(offence_count(world.host, fake_now), 1);
	world_close(&world);
}
END_TEST

START_TEST(a_new_connection_is_no_clean_sheet)
{
	struct world world;
	open_strict(&world);
	struct session *first = world_session(&world);

	offend(&world, first, make_job(first));
	session_close(first);
	world_work(&world);
	ck_assert(list_empty(&world.host->tenants));
	struct session *second = world_session(&world);
	offend(&world, second, make_job(second));
	session_close(second);
	world_work(&world);
	struct session *third = world_session(&world), *neighbour = world_session_of(&world, 1001);
	struct job *job = make_job(third), *good = make_job(neighbour);
	offend(&world, third, job);
	struct fail fail;
	ck_assert_int_eq(refusal(third, job, &fail), -ECANCELED);
	ck_assert_ptr_nonnull(strstr(fail.text, "tenant default:1000 is quarantined"));
	uint64_t others = run(&world, neighbour, good);
	complete(&world, good);
	expect(neighbour, others, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(decay_lets_an_offender_back)
{
	struct world world;
	open_strict(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);

	offend(&world, session, job);
	offend(&world, session, job);
	fake_now.v += NSEC_PER_SEC - 1;
	ck_assert_int_eq(refusal(session, job, NULL), -ECANCELED);
	fake_now.v += 1;
	uint64_t again = run(&world, session, job);
	complete(&world, job);
	expect(session, again, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_pardon_lets_an_offender_back_at_once)
{
	const bool tenant = _i;
	struct world world;
	open_strict(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	struct fail fail;

	offend(&world, session, job);
	offend(&world, session, job);
	ck_assert_int_eq(refusal(session, job, NULL), -ECANCELED);
	ck_assert_int_eq(offence_pardon_tenant(world.host, "nobody", &fail), -ENOENT);
	ck_assert_int_eq(offence_pardon_session(world.host, 77, &fail), -ENOENT);
	if (tenant)
		ck_assert_int_eq(offence_pardon_tenant(world.host, "default:1000", &fail), 0);
	else
		ck_assert_int_eq(offence_pardon_session(world.host, session->id, &fail), 0);
	uint64_t again = run(&world, session, job);
	complete(&world, job);
	expect(session, again, OUT_DONE);
	ck_assert_uint_eq(offence_count(world.host, fake_now), 0);
	/* of a session: the tenant's points stay */
	offend(&world, session, job);
	ck_assert_int_eq(refusal(session, make_job(session), NULL), tenant ? 0 : -ECANCELED);
	world_close(&world);
}
END_TEST

START_TEST(only_verdicts_count)
{
	struct world world;
	open_strict(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);

	for (int i = 0; i < 5; i++) {
		uint64_t id = run(&world, session, job);
		ck_assert_int_eq(session_cancel(session, id), CANCEL_RUNNING);
		world_work(&world);
		expect(session, id, OUT_CANCELLED);
		id = run(&world, session, job);
		lose_the_device(&world);
		expect(session, id, OUT_DEVICE_RESET);
	}
	uint64_t fine = run(&world, session, job);
	complete(&world, job);
	expect(session, fine, OUT_DONE);
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("outcomes");
	TCase *tcase = tcase_create("outcomes");

	tcase_add_test(tcase, what_may_have_started_ends_as_device_reset);
	tcase_add_test(tcase, what_may_run_twice_is_run_again_in_its_old_place);
	tcase_add_test(tcase, a_hang_in_one_queue_costs_the_other_queues_of_its_session_nothing);
	tcase_add_test(tcase, what_is_hit_twice_ends_though_it_may_run_again);
	tcase_add_test(tcase, the_guilty_is_never_run_again);
	tcase_add_loop_test(tcase, who_is_aborted_in_place_of_the_guilty_may_run_again, 0, 2);
	tcase_add_test(tcase, a_cancelled_innocent_is_not_run_again);
	tcase_add_test(tcase, a_device_that_does_not_come_back_ends_the_restartable_too);
	tcase_add_loop_test(tcase, an_error_interrupt_is_acted_upon_at_once, 0, 3);
	tcase_add_test(tcase, each_climb_is_counted_by_rung);
	tcase_add_test(tcase, a_repeat_offender_is_stopped_and_its_neighbours_go_on);
	tcase_add_test(tcase, a_new_connection_is_no_clean_sheet);
	tcase_add_test(tcase, decay_lets_an_offender_back);
	tcase_add_loop_test(tcase, a_pardon_lets_an_offender_back_at_once, 0, 2);
	tcase_add_test(tcase, only_verdicts_count);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
