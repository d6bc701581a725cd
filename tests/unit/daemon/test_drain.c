/* SPDX-License-Identifier: Apache-2.0 */
/* Promises about a drained device: what it still does, where its sessions go, who is refused, and how long it holds. */
#include "daemon/core/control.h"
#include "daemon/core/move.h"

#include "tests/unit/daemon/world.h"

static struct session *operator_of(struct world *world)
{
	return world_session_of(world, 7);
}

/* The workers' turn, and that of the timers that a session set when it arrived. */
static void settle(struct world *world)
{
	world_work(world);
	device_tick(world->device);
	if (world->other)
		device_tick(world->other);
	world_work(world);
}

static void expect_refused(struct session *session, const struct job *job, const char *words)
{
	uint64_t submission;
	struct fail fail;

	ck_assert_int_eq(try_submit(session, job, 0, &submission, &fail), -ENODEV);
	ck_assert_msg(strstr(fail.text, "fake0 is drained") && strstr(fail.text, words), "%s", fail.text);
}

START_TEST(a_drained_device_finishes_what_it_had_and_takes_nothing_new)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session), *b = make_job(session), *c = make_job(session);
	uint64_t first = run(&world, session, a), second = run(&world, session, b), third = run(&world, session, c);

	control_drain(operator_of(&world), world.device);
	ck_assert_uint_eq(control_use(world.device).busy, 1);
	ck_assert_uint_eq(control_use(world.device).submissions, 3);
	expect_refused(session, a, "no other device takes work");
	complete(&world, a);
	complete(&world, b);
	ck_assert(!control_is_empty(world.device));
	complete(&world, c);
	expect(session, first, OUT_DONE);
	expect(session, second, OUT_DONE);
	expect(session, third, OUT_DONE);
	ck_assert(control_is_empty(world.device));
	ck_assert_uint_eq(control_use(world.device).submissions, 0);
	world_close(&world);
}
END_TEST

/* So that somebody may take it out of the host. */
START_TEST(an_empty_drained_device_reaches_nobodys_memory)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);

	run(&world, session, job);
	control_drain(operator_of(&world), world.device);
	ck_assert_ptr_eq(world.device->attached, session->space);
	complete(&world, job);
	(void)next_result(session, NULL);
	ck_assert_ptr_null(world.device->attached);
	ck_assert_uint_eq(world.device->mapping_count, 0);
	control_resume(operator_of(&world), world.device);
	uint64_t again = run(&world, session, job);
	complete(&world, job);
	expect(session, again, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(new_sessions_are_placed_on_devices_that_take_work)
{
	struct world world;
	world_open(&world);
	world_has_other(&world);
	struct session *admin = operator_of(&world);
	control_drain(admin, world.device);
	for (int i = 0; i < 3; i++)
		ck_assert_ptr_eq(world_session(&world)->device, world.other);
	/* where there is none, a session is still opened: how else would anybody resume one */
	control_drain(admin, world.other);
	struct session *late = world_session(&world);
	ck_assert_ptr_eq(late->device, world.device);
	expect_refused(late, make_job(late), "no other device takes work");
	control_resume(admin, world.other);
	ck_assert_ptr_eq(world_session(&world)->device, world.other);
	world_close(&world);
}
END_TEST

START_TEST(an_idle_session_leaves_a_drained_device_at_once)
{
	const struct vfio_ops *const ops[] = {&fake_vfio_ops, &fake_table_ops};
	struct host_options options = world_options();
	struct world world;
	world_open_on(&world, &options, ops[_i]);
	world_has_other(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);

	run(&world, session, job);
	complete(&world, job);
	(void)next_result(session, NULL);
	control_drain(operator_of(&world), world.device);
	settle(&world);
	ck_assert_ptr_eq(session->device, world.other);
	ck_assert_uint_eq(control_use(world.device).sessions, 0);
	ck_assert_uint_eq(world.device->mapping_count, 0);
	uint64_t there = run(&world, session, job);
	complete_other(&world, job);
	expect(session, there, OUT_DONE);
	world_close(&world);
}
END_TEST

/* Two submissions are there at any time; none is refused, lost or run out of order. */
START_TEST(a_session_that_is_never_idle_leaves_when_what_it_had_has_ended)
{
	const struct vfio_ops *const ops[] = {&fake_vfio_ops, &fake_table_ops};
	struct host_options options = world_options();
	struct world world;
	world_open_on(&world, &options, ops[_i]);
	world_has_other(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session), *b = make_job(session);
	uint64_t first = run(&world, session, a), second = run(&world, session, b);

	control_drain(operator_of(&world), world.device);
	uint64_t third = run(&world, session, a);
	complete(&world, a);
	expect(session, first, OUT_DONE);
	uint64_t fourth = run(&world, session, b);
	/* they wait, though the first job is free and the device has room */
	ck_assert_uint_eq(world.device->in_flight_count, 1);
	ck_assert_ptr_eq(session->device, world.device);
	complete(&world, b);
	expect(session, second, OUT_DONE);
	settle(&world);
	ck_assert_ptr_eq(session->device, world.other);
	ck_assert(control_is_empty(world.device));
	ck_assert_uint_eq(world.device->mapping_count, 0);
	ck_assert_uint_eq(world.other->in_flight_count, 2);
	complete_other(&world, a);
	complete_other(&world, b);
	expect(session, third, OUT_DONE);
	expect(session, fourth, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(what_was_accepted_for_another_device_runs_here_when_that_one_is_drained_too)
{
	struct world world;
	world_open(&world);
	world_has_other(&world);
	struct session *session = world_session(&world), *admin = operator_of(&world);
	struct job *a = make_job(session), *b = make_job(session);
	uint64_t first = run(&world, session, a);

	control_drain(admin, world.device);
	uint64_t second = run(&world, session, b);
	control_drain(admin, world.other);
	complete(&world, a);
	settle(&world);
	ck_assert_ptr_eq(session->device, world.device);
	complete(&world, b);
	expect(session, first, OUT_DONE);
	expect(session, second, OUT_DONE);
	expect_refused(session, a, "no other device takes work");
	world_close(&world);
}
END_TEST

START_TEST(who_was_promised_one_device_is_told_to_connect_again)
{
	struct world world;
	world_open(&world);
	world_has_other(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);

	session->stays = true;
	control_drain(operator_of(&world), world.device);
	expect_refused(session, job, "connect again");
	ck_assert_ptr_eq(session->device, world.device);
	/* nothing is left of it */
	ck_assert_uint_eq(session->active, 0);
	control_resume(operator_of(&world), world.device);
	uint64_t now = run(&world, session, job);
	complete(&world, job);
	expect(session, now, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_drained_device_that_goes_and_returns_is_still_drained)
{
	struct world world;
	world_open(&world);
	world_has_source(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);

	control_drain(operator_of(&world), world.device);
	world.fake->gone = true;
	device_life(world.device);
	world_work(&world);
	ck_assert_int_eq(world.device->state, DEV_GONE);
	world.fake->gone = false;
	pass_time(&world, NSEC_PER_SEC);
	ck_assert_int_eq(world.device->state, DEV_READY);
	expect_refused(session, job, "npuctl resume");
	world_close(&world);
}
END_TEST

START_TEST(every_session_is_told_once_of_each_change)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world), *admin = operator_of(&world);
	struct session_event event;

	for (int i = 0; i < 4; i++) {
		bool drain = i < 2;
		(drain ? control_drain : control_resume)(admin, world.device);
		session_peek_event(session, &event);
		/* the second of a kind changes nothing */
		ck_assert_int_eq(event.kind, i % 2 ? EVENT_NONE : EVENT_DEVICE);
		session_pop_event(session, &event);
	}
	world_close(&world);
}
END_TEST

/* What a client does next does not depend on who else left. */
START_TEST(a_session_that_ends_on_its_way_leaves_nothing_behind)
{
	struct world world;
	world_open(&world);
	world_has_other(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session), *b = make_job(session);

	run(&world, session, a);
	control_drain(operator_of(&world), world.device);
	run(&world, session, b);
	session_close(session);
	settle(&world);
	ck_assert(control_is_empty(world.device));
	ck_assert_uint_eq(world.other->sessions, 1); /* the admin, who went there */
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("drain");
	TCase *tcase = tcase_create("drain");

	tcase_add_test(tcase, a_drained_device_finishes_what_it_had_and_takes_nothing_new);
	tcase_add_test(tcase, an_empty_drained_device_reaches_nobodys_memory);
	tcase_add_test(tcase, new_sessions_are_placed_on_devices_that_take_work);
	tcase_add_loop_test(tcase, an_idle_session_leaves_a_drained_device_at_once, 0, 2);
	tcase_add_loop_test(tcase, a_session_that_is_never_idle_leaves_when_what_it_had_has_ended, 0, 2);
	tcase_add_test(tcase, what_was_accepted_for_another_device_runs_here_when_that_one_is_drained_too);
	tcase_add_test(tcase, who_was_promised_one_device_is_told_to_connect_again);
	tcase_add_test(tcase, a_drained_device_that_goes_and_returns_is_still_drained);
	tcase_add_test(tcase, every_session_is_told_once_of_each_change);
	tcase_add_test(tcase, a_session_that_ends_on_its_way_leaves_nothing_behind);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
