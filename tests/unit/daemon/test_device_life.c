/* SPDX-License-Identifier: Apache-2.0 */
/* Promises about a device that leaves, returns, or is opened again to recover. */
#include "tests/unit/daemon/world.h"

/* The timer fires: time goes on by what was asked for. */
static void tick(struct world *world)
{
	fake_now.v += world->armed_ns;
	world->armed_ns = 0;
	device_tick(world->device);
	world_work(world);
}

static void ask_back(struct world *world)
{
	world->fake->release = true;
	device_life(world->device);
	world_work(world);
}

START_TEST(a_device_the_host_wants_back_finishes_what_runs_and_is_closed_quietly)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session), *b = make_job(session), *c = make_job(session);
	uint64_t first = run(&world, session, a), second = run(&world, session, b), third = run(&world, session, c);

	ask_back(&world);
	ck_assert_int_eq(world.device->state, DEV_READY);
	complete(&world, a);
	expect(session, first, OUT_DONE);
	/* nothing new is fed, what is in hardware goes on */
	ck_assert_uint_eq(world.device->in_flight_count, 1);
	complete(&world, b);
	expect(session, second, OUT_DONE);
	expect(session, third, OUT_DEVICE_GONE);
	ck_assert_int_eq(world.device->state, DEV_GONE);
	ck_assert(world.fake->closed);
	/* quiet and unmapped before it is closed */
	const char *end = strrchr(world.fake->trace, 'q');
	ck_assert_ptr_nonnull(end);
	ck_assert_msg(strspn(end + 1, "u") >= 3 && strcmp(end + 1 + strspn(end + 1, "u"), "FX") == 0, "%s", end);
	world_close(&world);
}
END_TEST

START_TEST(work_that_outlasts_the_hosts_patience_ends_as_device_gone)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	uint64_t running = run(&world, session, make_job(session));
	uint64_t begin = fake_now.v;

	ask_back(&world);
	for (int i = 0; i < 20 && world.device->state != DEV_GONE; i++)
		tick(&world);
	expect(session, running, OUT_DEVICE_GONE);
	ck_assert_int_eq(world.device->state, DEV_GONE);
	ck_assert(world.fake->closed);
	ck_assert_uint_le(fake_now.v - begin, 3 * NSEC_PER_SEC / 2);
	world_close(&world);
}
END_TEST

START_TEST(an_idle_device_is_given_back_at_once)
{
	struct world world;
	world_open(&world);
	ask_back(&world);
	ck_assert_int_eq(world.device->state, DEV_GONE);
	ck_assert(world.fake->closed);
	world_close(&world);
}
END_TEST

static void vanish(struct world *world)
{
	world->fake->gone = true;
	device_life(world->device);
	world_work(world);
	ck_assert_int_eq(world->device->state, DEV_GONE);
	ck_assert(world->fake->closed);
}

START_TEST(a_device_that_returns_serves_the_jobs_that_were_prepared_before)
{
	const struct vfio_ops *const ops[] = {&fake_vfio_ops, &fake_table_ops};
	struct host_options options = world_options();
	struct world world;
	world_open_on(&world, &options, ops[_i]);
	world_has_source(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);

	run(&world, session, job);
	complete(&world, job);
	(void)next_result(session, NULL);
	vanish(&world);
	ck_assert_uint_eq(world.device->mapping_count, 0);
	tick(&world);
	ck_assert_int_eq(world.device->state, DEV_GONE);
	ck_assert_int_eq(try_submit(session, job, 0, &(uint64_t){0}, NULL), -ENODEV);
	world.fake->gone = false;
	tick(&world);
	ck_assert_int_eq(world.device->state, DEV_READY);
	ck_assert(world.watching);
	ck_assert_uint_eq(world.device->counters.returns, 1);
	uint64_t again = run(&world, session, job);
	complete(&world, job);
	expect(session, again, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(attempts_to_open_a_missing_device_are_ever_rarer)
{
	struct world world;
	uint64_t last = 0;
	world_open(&world);
	world_has_source(&world);
	vanish(&world);
	for (int i = 0; i < 10; i++) {
		ck_assert_uint_ge(world.armed_ns, last);
		last = world.armed_ns;
		tick(&world);
	}
	ck_assert_uint_eq(last, 30 * NSEC_PER_SEC);
	ck_assert_uint_eq(world.fake->opens, 0);
	world_close(&world);
}
END_TEST

START_TEST(another_npu_in_its_place_is_not_used)
{
	struct world world;
	world_open(&world);
	world_has_source(&world);
	vanish(&world);
	world.device->identity.cores = 1;
	world.fake->gone = false;
	tick(&world);
	ck_assert_int_eq(world.device->state, DEV_GONE);
	ck_assert(world.fake->closed);
	world_close(&world);
}
END_TEST

START_TEST(a_reopening_is_the_last_rung_and_forgets_every_mapping)
{
	struct world world;
	world_open(&world);
	world_has_source(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t hung = run(&world, session, job);

	world.fake->failing = FAKE_STAYS_BUSY | FAKE_RESET | FAKE_VFIO_RESET;
	for (int i = 0; i < 10 && !has_result(session); i++)
		tick(&world);
	expect(session, hung, OUT_TIMEOUT);
	ck_assert_int_eq(world.device->state, DEV_READY);
	ck_assert_uint_eq(world.fake->opens, 1);
	world.fake->failing = 0;
	/* everything is mapped anew */
	world.fake->trace[0] = '\0';
	uint64_t again = run(&world, session, job);
	ck_assert_str_eq(world.fake->trace, "mmcD");
	complete(&world, job);
	expect(session, again, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_reopening_that_fails_leaves_the_device_gone_until_it_is_back)
{
	struct world world;
	world_open(&world);
	world_has_source(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t hung = run(&world, session, job);

	world.fake->failing = FAKE_STAYS_BUSY | FAKE_RESET | FAKE_VFIO_RESET | FAKE_OPEN;
	for (int i = 0; i < 10 && !has_result(session); i++)
		tick(&world);
	expect(session, hung, OUT_TIMEOUT);
	ck_assert_int_eq(world.device->state, DEV_GONE);
	world.fake->failing = 0;
	tick(&world);
	ck_assert_int_eq(world.device->state, DEV_READY);
	world_close(&world);
}
END_TEST

/* A second device that is not there when the host begins. */
static void world_awaits_other(struct world *world)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	const struct device_source source = {fake_open, fake};

	ck_assert_ptr_nonnull(fake);
	fake->vfio.ops = &fake_vfio_ops;
	fake->closed = fake->gone = true;
	ck_assert_int_eq(device_new_absent("late", "it is not there", false, &world->other), 0);
	ck_assert_int_eq(host_add_device(world->host, world->other), 0);
	device_set_source(world->other, &source);
	world->other_fake = fake;
	world->armed_ns = 0;
	device_set_hooks(world->other, &world_hooks, world);
}

static void tick_other(struct world *world)
{
	fake_now.v += world->armed_ns;
	world->armed_ns = 0;
	device_tick(world->other);
	world_work(world);
}

START_TEST(a_device_that_was_never_there_is_awaited_and_gets_no_session)
{
	struct world world;
	world_open(&world);
	world_awaits_other(&world);
	ck_assert_int_eq(world.other->state, DEV_GONE);
	ck_assert_str_eq(world.other->reason, "it is not there");
	ck_assert_uint_eq(world.armed_ns, NSEC_PER_SEC);
	tick_other(&world);
	ck_assert_uint_eq(world.armed_ns, 2 * NSEC_PER_SEC);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_ptr_eq(world_session(&world)->device, world.device);
	/* not even if the other one is gone */
	vanish(&world);
	ck_assert_ptr_eq(world_session(&world)->device, world.device);
	world_close(&world);
}
END_TEST

START_TEST(what_a_device_is_shows_when_it_comes)
{
	struct session_event event;
	struct world world;
	world_open(&world);
	world_awaits_other(&world);
	struct session *early = world_session(&world);

	world.other_fake->gone = false;
	tick_other(&world);
	ck_assert_int_eq(world.other->state, DEV_READY);
	ck_assert_str_eq(world.other->reason, "");
	ck_assert(device_is_alike(world.other, world.device));
	ck_assert_uint_eq(world.other->counters.returns, 0); /* it was not there before */
	session_peek_event(early, &event);
	ck_assert_int_eq(event.kind, EVENT_DEVICE);
	ck_assert_ptr_eq(event.device, world.other);
	struct session *late = world_session(&world);
	ck_assert_ptr_eq(late->device, world.other);
	struct job *job = make_job(late);
	uint64_t submission = run(&world, late, job);
	complete_other(&world, job);
	expect(late, submission, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(without_any_device_there_is_no_session)
{
	struct host_options options = world_options();
	struct session_identity identity = {.uid = 1000, .profile = &options.tenants.fallback};
	struct session *session;
	struct device *device;
	struct host *host;
	struct fail fail;

	ck_assert_int_eq(host_new(&options, 1, &host), 0);
	identity.profile = &host->options.tenants.fallback;
	ck_assert_int_eq(device_new_absent("late", "it is not there", false, &device), 0);
	ck_assert_int_eq(host_add_device(host, device), 0);
	ck_assert_int_eq(session_open(host, &identity, NULL, NULL, &session, &fail), -ENODEV);
	ck_assert_ptr_nonnull(strstr(fail.text, "no device"));
	ck_assert(quota_is_clear(&host->quota));
	device_free(device);
	host_free(host);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device life");
	TCase *tcase = tcase_create("device life");

	tcase_add_test(tcase, a_device_the_host_wants_back_finishes_what_runs_and_is_closed_quietly);
	tcase_add_test(tcase, work_that_outlasts_the_hosts_patience_ends_as_device_gone);
	tcase_add_test(tcase, an_idle_device_is_given_back_at_once);
	tcase_add_loop_test(tcase, a_device_that_returns_serves_the_jobs_that_were_prepared_before, 0, 2);
	tcase_add_test(tcase, attempts_to_open_a_missing_device_are_ever_rarer);
	tcase_add_test(tcase, another_npu_in_its_place_is_not_used);
	tcase_add_test(tcase, a_reopening_is_the_last_rung_and_forgets_every_mapping);
	tcase_add_test(tcase, a_reopening_that_fails_leaves_the_device_gone_until_it_is_back);
	tcase_add_test(tcase, a_device_that_was_never_there_is_awaited_and_gets_no_session);
	tcase_add_test(tcase, what_a_device_is_shows_when_it_comes);
	tcase_add_test(tcase, without_any_device_there_is_no_session);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
