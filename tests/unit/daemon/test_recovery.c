/* SPDX-License-Identifier: Apache-2.0 */
/* Hangs, faults and refused commands: the watchdog, the rungs of the ladder, who is blamed and who goes on. */
#include "tests/unit/daemon/world.h"

/* ------------------------------------------------------------------ the watchdog */

START_TEST(a_hang_ends_as_timeout_and_others_run_on)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct session *other = world_session_of(&world, 1001);
	struct job *hang = make_job(session);
	struct job *good = make_job(other);
	uint64_t guilty = run(&world, session, hang);
	uint64_t innocent = run(&world, other, good);

	ck_assert_uint_le(world.armed_ns, NSEC_PER_SEC);
	pass_time(&world, NSEC_PER_SEC / 2);
	ck_assert(!has_result(session));
	pass_time(&world, NSEC_PER_SEC / 2);
	expect(session, guilty, OUT_TIMEOUT);
	complete(&world, good);
	expect(other, innocent, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_completion_in_the_interrupt_path_is_not_late)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t submission = run(&world, session, job);

	report(&world, NPU_EVENT_DONE, job_last_tcb(job).v, 0);
	pass_time(&world, 5 * NSEC_PER_SEC);
	expect(session, submission, OUT_DONE);
	ck_assert_uint_eq(world.device->counters.aborts, 0);
	world_close(&world);
}
END_TEST

/* Which rungs fail, which letters the fake sees, what becomes of the device. */
struct ladder_case {
	unsigned failing;
	const char *trace;
	enum device_state state;
};

static const struct ladder_case ladder[] = {
    {0, "a", DEV_READY},
    {FAKE_STAYS_BUSY, "aSic", DEV_READY},
    {FAKE_ABORT, "aSic", DEV_READY},
    {FAKE_ABORT | FAKE_RESET, "aSVic", DEV_READY},
    {FAKE_ABORT | FAKE_RESET | FAKE_VFIO_RESET, "aSVquuFX", DEV_OFFLINE},
    {FAKE_ABORT | FAKE_INIT, "aSiViquuFX", DEV_OFFLINE},
};

START_TEST(each_rung_that_fails_leads_to_the_next)
{
	const struct ladder_case *this = &ladder[_i];
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t guilty = run(&world, session, job);
	uint64_t behind = run(&world, session, job);

	world.fake->trace[0] = '\0';
	world.fake->failing = this->failing;
	pass_time(&world, NSEC_PER_SEC);
	expect(session, guilty, OUT_TIMEOUT);
	ck_assert_int_eq(world.device->state, this->state);
	ck_assert_msg(strncmp(world.fake->trace, this->trace, strlen(this->trace)) == 0, "%s is not %s",
		      world.fake->trace, this->trace);
	world.fake->failing = 0;
	if (this->state == DEV_READY)
		complete(&world, job);
	expect(session, behind, this->state == DEV_READY ? OUT_DONE : OUT_DEVICE_GONE);
	world_close(&world);
}
END_TEST

START_TEST(a_device_without_any_reset_goes_offline_and_reaches_no_memory)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);

	world.fake->npu.rungs = 0;
	uint64_t guilty = run(&world, session, job);
	pass_time(&world, NSEC_PER_SEC);
	expect(session, guilty, OUT_TIMEOUT);
	ck_assert_int_eq(world.device->state, DEV_OFFLINE);
	ck_assert_uint_eq(world.fake->vfio.mappings, 0);
	world_close(&world);
}
END_TEST

START_TEST(a_fault_names_its_submission_and_spares_the_one_behind)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session);
	struct job *b = make_job(session);
	uint64_t guilty = run(&world, session, a);
	uint64_t innocent = run(&world, session, b);

	report(&world, NPU_EVENT_FAULT, job_last_tcb(a).v - ZY_TCB_BYTES, 0x77);
	device_irq(world.device);
	world_work(&world);
	struct submission_result result = next_result(session, NULL);
	ck_assert_int_eq(result.outcome, OUT_FAULT);
	ck_assert_uint_eq(result.signal_flags, 0x77);
	complete(&world, b);
	expect(session, innocent, OUT_DONE);
	(void)guilty;
	world_close(&world);
}
END_TEST

START_TEST(an_exception_without_a_known_pointer_blames_the_oldest)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t guilty = run(&world, session, job);

	report(&world, NPU_EVENT_EXCEPTION, 0x12345678, 0);
	device_irq(world.device);
	world_work(&world);
	expect(session, guilty, OUT_EXCEPTION);
	/* and with nothing in flight it is only counted */
	report(&world, NPU_EVENT_EXCEPTION, 0x12345678, 0);
	device_irq(world.device);
	world_work(&world);
	ck_assert_uint_eq(world.device->counters.aborts, 1);
	ck_assert_uint_eq(world.device->counters.unknown_completions, 1);
	world_close(&world);
}
END_TEST

START_TEST(what_is_put_back_too_often_ends)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session);
	struct job *b = make_job(session);
	run(&world, session, a);
	uint64_t victim = run(&world, session, b);

	for (unsigned i = 0; i < SUBMISSION_MAX_ATTEMPTS; i++) {
		/* the neighbour fails each time, and is submitted again ahead of it */
		report(&world, NPU_EVENT_EXCEPTION, job_last_tcb(a).v, 0);
		device_irq(world.device);
		ck_assert_int_eq(world.device->state, DEV_RECOVERING);
		world_work(&world);
		ck_assert_int_eq(next_result(session, NULL).outcome, OUT_EXCEPTION);
		if (i + 1 == SUBMISSION_MAX_ATTEMPTS)
			break;
		/* b runs now; let it wait behind a again */
		run(&world, session, a);
		struct submission *s = list_entry(list_first(&world.device->in_flight), struct submission, link);
		list_remove(&s->link);
		list_append(&world.device->in_flight, &s->link);
	}
	expect(session, victim, OUT_DEVICE_RESET);
	world_close(&world);
}
END_TEST

START_TEST(a_refused_doorbell_is_rung_again_and_nobody_is_lost)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session);
	struct job *b = make_job(session);
	uint64_t first = run(&world, session, a);

	uint64_t second = submit(session, b);
	ck_assert(worker_step(world.device->worker) || true);
	world.fake->failing = 0;
	world_work(&world);
	complete(&world, b);
	expect(session, first, OUT_DONE);
	expect(session, second, OUT_DONE);
	/* refused while another runs */
	first = run(&world, session, a);
	world.fake->failing = FAKE_DISPATCH;
	second = run(&world, session, b);
	ck_assert_int_eq(world.device->state, DEV_READY);
	world.fake->failing = 0;
	complete(&world, a);
	complete(&world, b);
	expect(session, first, OUT_DONE);
	expect(session, second, OUT_DONE);
	ck_assert_uint_eq(world.device->counters.resets, 0);
	/* refused alone: a reset, and an end */
	world.fake->failing = FAKE_DISPATCH;
	first = run(&world, session, a);
	ck_assert(has_result(session));
	expect(session, first, OUT_DEVICE_RESET);
	world.fake->failing = 0;
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recovery");
	TCase *tcase = tcase_create("recovery");

	tcase_add_test(tcase, a_hang_ends_as_timeout_and_others_run_on);
	tcase_add_test(tcase, a_completion_in_the_interrupt_path_is_not_late);
	tcase_add_loop_test(tcase, each_rung_that_fails_leads_to_the_next, 0,
			    (int)(sizeof(ladder) / sizeof(ladder[0])));
	tcase_add_test(tcase, a_device_without_any_reset_goes_offline_and_reaches_no_memory);
	tcase_add_test(tcase, a_fault_names_its_submission_and_spares_the_one_behind);
	tcase_add_test(tcase, an_exception_without_a_known_pointer_blames_the_oldest);
	tcase_add_test(tcase, what_is_put_back_too_often_ends);
	tcase_add_test(tcase, a_refused_doorbell_is_rung_again_and_nobody_is_lost);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
