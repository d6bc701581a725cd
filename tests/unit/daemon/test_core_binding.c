/* SPDX-License-Identifier: Apache-2.0 */
/* Promises about submissions for one core: they have a pool of their own, and the device for themselves. */
#include "tests/unit/daemon/world.h"

static uint64_t submit_on(struct session *session, const struct job *job, uint32_t core)
{
	struct submit_request request = {.job = job->handle, .core = core};
	struct submit_reply reply = {0};

	ck_assert_int_eq(session_submit(session, &request, &reply, NULL), 0);
	return reply.submission;
}

static uint64_t run_on(struct world *world, struct session *session, const struct job *job, uint32_t core)
{
	uint64_t submission = submit_on(session, job, core);

	world_work(world);
	return submission;
}

START_TEST(the_first_job_of_a_tenure_finds_its_pool_fresh)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);

	uint64_t submission = run_on(&world, session, job, 3);
	ck_assert_str_eq(world.fake->trace, "mmcD2");
	complete(&world, job);
	expect(session, submission, OUT_DONE);
	world_close(&world);
}
END_TEST

/* d: the pool is destroyed; c: it is made anew. Nothing is mapped, unmapped or reset. */
START_TEST(before_and_after_it_the_pool_is_made_anew)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *plain = make_job(session), *bound = make_job(session);

	run(&world, session, plain);
	complete(&world, plain);
	run_on(&world, session, bound, 1);
	complete(&world, bound);
	world.fake->trace[0] = '\0';
	run_on(&world, session, bound, 2);
	ck_assert_str_eq(world.fake->trace, "dcD1");
	complete(&world, bound);
	world.fake->trace[0] = '\0';
	run(&world, session, plain);
	ck_assert_str_eq(world.fake->trace, "dcD");
	complete(&world, plain);
	world.fake->trace[0] = '\0';
	run(&world, session, plain);
	ck_assert_str_eq(world.fake->trace, "n");
	complete(&world, plain);
	ck_assert_uint_eq(world.device->counters.tenures, 1);
	ck_assert_uint_eq(world.device->counters.resets, 0);
	world_close(&world);
}
END_TEST

static uint64_t charged_ns;

static void record_charge(struct sched *sched, struct sched_session *session, enum sched_class class, uint64_t ns,
			  uint64_t now_ns)
{
	(void)sched, (void)session, (void)now_ns;
	ck_assert_int_eq(class, SCHED_NORMAL);
	charged_ns += ns;
}

/* Else who binds every run would take that much from the others. */
START_TEST(the_making_of_its_pool_is_charged)
{
	struct world world;
	struct host_options options = world_options();
	struct sched_ops ops = sched_fifo;
	ops.charge = record_charge;
	options.scheduler = &ops;
	world_open_with(&world, &options);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);

	run_on(&world, session, job, 1);
	complete(&world, job);
	charged_ns = 0;
	submit_on(session, job, 1);
	fake_now.v += 300;
	world_work(&world);
	ck_assert_uint_eq(charged_ns, 300);
	ck_assert_uint_eq(world.device->in_flight_count, 1);
	world_close(&world);
}
END_TEST

START_TEST(nothing_runs_beside_it)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *first = make_job(session), *bound = make_job(session), *last = make_job(session);

	run(&world, session, first);
	uint64_t waits = run_on(&world, session, bound, 1), behind = run(&world, session, last);
	ck_assert_uint_eq(world.device->in_flight_count, 1);
	complete(&world, first);
	(void)next_result(session, NULL);
	ck_assert_uint_eq(world.device->in_flight_count, 1);
	ck_assert_uint_eq(submission_id(device_oldest(world.device)), waits);
	complete(&world, bound);
	expect(session, waits, OUT_DONE);
	ck_assert_uint_eq(submission_id(device_oldest(world.device)), behind);
	complete(&world, last);
	world_close(&world);
}
END_TEST

START_TEST(other_sessions_take_the_device_as_ever)
{
	struct world world;
	world_open(&world);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct job *bound = make_job(a), *plain = make_job(b);

	run_on(&world, a, bound, 1);
	uint64_t submission = run(&world, b, plain);
	complete(&world, bound);
	ck_assert_ptr_eq(world.device->attached, b->space);
	ck_assert_int_eq(world.device->pool_use, POOL_SHARED);
	complete(&world, plain);
	expect(b, submission, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_hang_on_one_core_ends_and_the_pool_goes)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *bound = make_job(session), *plain = make_job(session);

	uint64_t hangs = run_on(&world, session, bound, 1), waits = run(&world, session, plain);
	pass_time(&world, NSEC_PER_SEC);
	expect(session, hangs, OUT_TIMEOUT);
	ck_assert_uint_eq(submission_id(device_oldest(world.device)), waits);
	/* aborted, and then a pool that takes others */
	ck_assert_str_eq(strchr(world.fake->trace, 'a'), "adcD");
	complete(&world, plain);
	expect(session, waits, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_pool_that_cannot_be_made_anew_is_a_recovery)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *plain = make_job(session), *bound = make_job(session);

	run(&world, session, plain);
	complete(&world, plain);
	(void)next_result(session, NULL);
	uint64_t waits = submit_on(session, bound, 1);
	ck_assert(worker_step(world.device->worker)); /* maps its memory */
	world.fake->failing = FAKE_CREATE;
	world.fake->trace[0] = '\0';
	ck_assert(worker_step(world.device->worker));
	ck_assert_int_eq(world.device->state, DEV_RECOVERING);
	world.fake->failing = 0;
	world_work(&world);
	ck_assert_uint_eq(world.device->in_flight_count, 1);
	/* the one that the reset made is fresh */
	ck_assert_str_eq(world.fake->trace, "dcSicD0");
	complete(&world, bound);
	expect(session, waits, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_core_that_the_device_does_not_have_is_refused)
{
	struct world world;
	struct fail fail;
	world_open(&world);
	struct session *session = world_session(&world);
	struct submit_request request = {.job = make_job(session)->handle, .core = 4};
	struct submit_reply reply;

	ck_assert_int_eq(session_submit(session, &request, &reply, &fail), -EINVAL);
	ck_assert_str_eq(fail.text, "core: 4, the device has the cores 1 to 3");
	request.core = UINT32_MAX;
	ck_assert_int_eq(session_submit(session, &request, &reply, &fail), -EINVAL);
	ck_assert_uint_eq(session->active, 0);
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("core binding");
	TCase *all = tcase_create("core binding");

	tcase_add_test(all, the_first_job_of_a_tenure_finds_its_pool_fresh);
	tcase_add_test(all, before_and_after_it_the_pool_is_made_anew);
	tcase_add_test(all, the_making_of_its_pool_is_charged);
	tcase_add_test(all, nothing_runs_beside_it);
	tcase_add_test(all, other_sessions_take_the_device_as_ever);
	tcase_add_test(all, a_hang_on_one_core_ends_and_the_pool_goes);
	tcase_add_test(all, a_pool_that_cannot_be_made_anew_is_a_recovery);
	tcase_add_test(all, a_core_that_the_device_does_not_have_is_refused);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
