/* SPDX-License-Identifier: Apache-2.0 */
/* Promises about a reset that an operator asks for, and about a look at registers: what it costs, whom, and what is
 * told. */
#include "daemon/core/control.h"
#include "daemon/core/offence.h"

#include "tests/unit/daemon/world.h"

static void ask_reset(struct world *world, int expected, const char *words)
{
	struct fail fail;
	int error = control_reset(world_session_of(world, 7), world->device, &fail);

	ck_assert_int_eq(error, expected);
	if (error < 0)
		ck_assert_msg(strstr(fail.text, words) != NULL, "%s", fail.text);
}

static void reset_now(struct world *world)
{
	ask_reset(world, 0, "");
	world_work(world);
}

static void expect_done(const struct world *world, enum recovery_rung rung)
{
	ck_assert_int_eq(world->device->state, DEV_READY);
	ck_assert_int_eq(world->device->reset.state, RESET_DONE);
	ck_assert_int_eq(world->device->reset.rung, rung);
}

static void expect_failed(const struct world *world, enum device_state state, const char *words)
{
	ck_assert_int_eq(world->device->state, state);
	ck_assert_int_eq(world->device->reset.state, RESET_FAILED);
	ck_assert_msg(strstr(world->device->reset.reason, words) != NULL, "%s", world->device->reset.reason);
}

/* More often than a recovery would believe in its innocence. */
START_TEST(a_reset_loses_nothing_that_may_run_again_however_often)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session), *b = make_job(session);
	uint64_t first = run_restartable(&world, a), behind = run(&world, session, b);

	for (unsigned i = 0; i < SUBMISSION_MAX_ATTEMPTS + 2; i++) {
		reset_now(&world);
		expect_done(&world, RECOVERY_SOFT_RESET);
		ck_assert_uint_eq(world.device->reset.number, i + 1);
		ck_assert_uint_eq(world.device->in_flight_count, 2);
	}
	complete(&world, a);
	complete(&world, b);
	expect(session, first, OUT_DONE);
	expect(session, behind, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(what_may_not_run_twice_ends_and_nobody_is_blamed)
{
	struct host_options options = world_options();
	struct world world;
	options.quarantine = (struct quarantine_rules){
	    .session_threshold = 1, .tenant_threshold = 1, .half_life_ns = NSEC_PER_SEC, .minimum_ns = NSEC_PER_SEC};
	world_open_with(&world, &options);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t lost = run(&world, session, job), which;

	reset_now(&world);
	struct submission_result result = next_result(session, &which);
	ck_assert_uint_eq(which, lost);
	ck_assert_int_eq(result.outcome, OUT_DEVICE_RESET);
	ck_assert_ptr_nonnull(strstr(result.reason, "operator"));
	ck_assert_uint_eq(offence_count(world.host, fake_now), 0);
	uint64_t again = run(&world, session, job);
	complete(&world, job);
	expect(session, again, OUT_DONE);
	world_close(&world);
}
END_TEST

/* Its interrupt is pending when the reset is asked for: the reset would wipe it out. */
START_TEST(what_had_ended_before_a_reset_is_done_and_what_came_after_it_has_begun)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session), *b = make_job(session);
	uint64_t ended = run(&world, session, a), begun = run(&world, session, b);

	report(&world, NPU_EVENT_DONE, job_last_tcb(a).v, 0);
	reset_now(&world);
	expect(session, ended, OUT_DONE);
	expect(session, begun, OUT_DEVICE_RESET);
	world_close(&world);
}
END_TEST

START_TEST(a_reset_waits_until_the_loop_owns_the_device_and_comes_one_at_a_time)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);

	uint64_t submission = submit(session, job);
	ck_assert_int_eq(world.device->state, DEV_SWITCHING);
	ask_reset(&world, 0, "");
	ck_assert_int_eq(world.device->reset.state, RESET_RUNNING);
	ck_assert(strchr(world.fake->trace, 'S') == NULL);
	ask_reset(&world, -EAGAIN, "recovery is under way");
	world_work(&world);
	expect_done(&world, RECOVERY_SOFT_RESET);
	ck_assert_uint_eq(world.device->reset.number, 1);
	complete(&world, job);
	expect(session, submission, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_reset_that_fails_climbs_on_and_the_rung_is_told)
{
	struct world world;
	world_open(&world);
	world.fake->failing = FAKE_RESET;
	reset_now(&world);
	expect_done(&world, RECOVERY_TRANSPORT_RESET);
	world.fake->failing = FAKE_RESET | FAKE_VFIO_RESET;
	world_has_source(&world);
	reset_now(&world);
	expect_done(&world, RECOVERY_REOPEN);
	world_close(&world);
}
END_TEST

static void take_offline(struct world *world)
{
	world->fake->failing = FAKE_RESET | FAKE_VFIO_RESET;
	reset_now(world);
	expect_failed(world, DEV_OFFLINE, "power-cycle it, then reset it again");
	world->fake->failing = 0;
}

START_TEST(an_offline_device_is_opened_again)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);

	take_offline(&world);
	/* without a way to open it there is nothing to be done here */
	ask_reset(&world, -ENOTSUP, "power-cycle it, then restart npud");
	world_has_source(&world);
	world.fake->failing = FAKE_OPEN;
	reset_now(&world);
	expect_failed(&world, DEV_OFFLINE, "it is not there; power-cycle it");
	/* nor does anybody try by himself */
	world.armed_ns = 0;
	device_tick(world.device);
	ck_assert_uint_eq(world.armed_ns, 0);
	world.fake->failing = 0;
	reset_now(&world);
	expect_done(&world, RECOVERY_REOPEN);
	uint64_t again = run(&world, session, job);
	complete(&world, job);
	expect(session, again, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_device_that_is_gone_is_looked_for_at_once)
{
	struct world world;
	world_open(&world);
	world_has_source(&world);
	world.fake->gone = true;
	device_life(world.device);
	ask_reset(&world, -EAGAIN, "being opened or closed");
	world_work(&world);
	reset_now(&world);
	expect_failed(&world, DEV_GONE, "npud opens it again when it is back");
	world.fake->gone = false;
	reset_now(&world);
	expect_done(&world, RECOVERY_REOPEN);
	world_close(&world);
}
END_TEST

START_TEST(a_device_that_vanishes_during_its_reset_has_not_been_reset)
{
	struct world world;
	world_open(&world);
	ask_reset(&world, 0, "");
	world.fake->gone = true;
	world_work(&world);
	expect_failed(&world, DEV_GONE, "went away");
	world_close(&world);
}
END_TEST

START_TEST(what_the_host_wants_back_is_not_reset)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);

	run(&world, session, make_job(session));
	world.fake->release = true;
	device_life(world.device);
	ask_reset(&world, -ENODEV, "the host asked for it back");
	world_close(&world);
}
END_TEST

/* Somebody hung just now: that he is judged does not depend on the operator. */
START_TEST(a_reset_protects_nobody_who_is_guilty_already)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	uint64_t guilty = run(&world, session, make_job(session));

	device_blame(world.device, OUT_TIMEOUT, "its device-time budget ran out", device_oldest(world.device), NULL);
	reset_now(&world);
	expect(session, guilty, OUT_TIMEOUT);
	expect_done(&world, RECOVERY_SOFT_RESET);
	world_close(&world);
}
END_TEST

/* ------------------------------------------------------------------ registers */

static int look(struct world *world, struct fail *fail)
{
	struct npu_register registers[NPU_MAX_REGISTERS];

	return control_registers(world_session_of(world, 7), world->device, registers, fail);
}

START_TEST(registers_are_read_only_while_the_loop_owns_the_device)
{
	struct world world;
	struct fail fail;
	world_open(&world);
	struct session *session = world_session(&world);

	ck_assert_int_eq(look(&world, &fail), NPU_MAX_REGISTERS);
	ck_assert_str_eq(world.fake->trace, "R");
	(void)submit(session, make_job(session));
	ck_assert_int_eq(world.device->state, DEV_SWITCHING);
	ck_assert_int_eq(look(&world, &fail), -EAGAIN);
	ck_assert_ptr_nonnull(strstr(fail.text, "try again"));
	world_work(&world);
	ask_reset(&world, 0, "");
	ck_assert_int_eq(look(&world, &fail), -EAGAIN);
	ck_assert_ptr_nonnull(strstr(fail.text, "recovers"));
	world_work(&world);
	ck_assert_int_eq(look(&world, &fail), NPU_MAX_REGISTERS);
	take_offline(&world);
	ck_assert_int_eq(look(&world, &fail), -ENODEV);
	ck_assert_ptr_nonnull(strstr(fail.text, "taken offline"));
	world_close(&world);
}
END_TEST

START_TEST(a_device_that_does_not_answer_a_look_is_gone)
{
	struct world world;
	struct fail fail;
	world_open(&world);
	world.fake->gone = true;
	ck_assert_int_eq(look(&world, &fail), -ENODEV);
	world_work(&world);
	ck_assert_int_eq(world.device->state, DEV_GONE);
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reset");
	TCase *tcase = tcase_create("reset");

	tcase_add_test(tcase, a_reset_loses_nothing_that_may_run_again_however_often);
	tcase_add_test(tcase, what_may_not_run_twice_ends_and_nobody_is_blamed);
	tcase_add_test(tcase, what_had_ended_before_a_reset_is_done_and_what_came_after_it_has_begun);
	tcase_add_test(tcase, a_reset_waits_until_the_loop_owns_the_device_and_comes_one_at_a_time);
	tcase_add_test(tcase, a_reset_that_fails_climbs_on_and_the_rung_is_told);
	tcase_add_test(tcase, an_offline_device_is_opened_again);
	tcase_add_test(tcase, a_device_that_is_gone_is_looked_for_at_once);
	tcase_add_test(tcase, a_device_that_vanishes_during_its_reset_has_not_been_reset);
	tcase_add_test(tcase, what_the_host_wants_back_is_not_reset);
	tcase_add_test(tcase, a_reset_protects_nobody_who_is_guilty_already);
	tcase_add_test(tcase, registers_are_read_only_while_the_loop_owns_the_device);
	tcase_add_test(tcase, a_device_that_does_not_answer_a_look_is_gone);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
