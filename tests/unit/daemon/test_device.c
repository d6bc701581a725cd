/* SPDX-License-Identifier: Apache-2.0 */
/* Promises of the device state machine: order of a tenure change, completions, exactly one outcome. */
#include "daemon/core/tenant.h"
#include "tests/unit/daemon/world.h"

START_TEST(a_job_runs_and_completes_once)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t submission = run(&world, session, job);

	/* arena and buffer mapped, pool made, doorbell */
	ck_assert_str_eq(world.fake->trace, "mmcD");
	fake_now.v += 5000;
	complete(&world, job);
	ck_assert_uint_eq(world.notified, 1);
	uint64_t which;
	struct submission_result result = next_result(session, &which);
	ck_assert_uint_eq(which, submission);
	ck_assert_int_eq(result.outcome, OUT_DONE);
	ck_assert_uint_eq(result.device_ns, 5000);
	ck_assert_uint_eq(result.device_ticks, 42);
	ck_assert(result.started);
	/* the same report again ends nothing */
	complete(&world, job);
	ck_assert(!has_result(session));
	ck_assert_uint_eq(world.device->counters.unknown_completions, 1);
	world_close(&world);
}
END_TEST

START_TEST(the_second_job_is_linked_behind_the_first)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session);
	struct job *b = make_job(session);

	run(&world, session, a);
	run(&world, session, b);
	/* b's buffer is mapped on demand, without a new tenure */
	ck_assert_str_eq(world.fake->trace, "mmcDmn");
	const union zy3_tcb *hold = arena_hold(session->space, 0);
	ck_assert_uint_eq(hold->task.next, (uint32_t)world.fake->heads[1]);
	const union zy3_tcb *last =
	    (const union zy3_tcb *)(void *)(session->space->memory + a->arena_offset) + a->tcbs - 1;
	ck_assert_uint_eq(last->task.next, (uint32_t)arena_iova(session->space, arena_hold_offset(0)).v);
	world_close(&world);
}
END_TEST

START_TEST(a_matching_pointer_completes_all_before_it)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session);
	struct job *b = make_job(session);
	uint64_t first = run(&world, session, a);
	uint64_t second = run(&world, session, b);

	complete(&world, b);
	expect(session, first, OUT_DONE);
	expect(session, second, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(unknown_pointers_are_counted_and_end_nothing)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t submission = run(&world, session, job);

	report(&world, NPU_EVENT_DONE, 0xdeadbe00, 0);
	report(&world, NPU_EVENT_DONE, job_last_tcb(job).v + 1, 0);
	report(&world, NPU_EVENT_DONE, job_last_tcb(job).v + ZY_TCB_BYTES, 0);
	/* a hold TCB's own end and a task in the middle are known, and end nothing either */
	report(&world, NPU_EVENT_DONE, (uint32_t)ARENA_OFFSET + arena_hold_offset(0), 0);
	report(&world, NPU_EVENT_DONE, job_last_tcb(job).v - ZY_TCB_BYTES, 0);
	device_irq(world.device);
	ck_assert(!has_result(session));
	ck_assert_uint_eq(world.device->counters.unknown_completions, 3);
	complete(&world, job);
	expect(session, submission, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(in_flight_work_is_bounded)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *jobs[4];

	for (int i = 0; i < 4; i++)
		jobs[i] = make_job(session);
	for (int i = 0; i < 4; i++)
		run(&world, session, jobs[i]);
	ck_assert_uint_eq(world.fake->dispatches, 2);
	complete(&world, jobs[0]);
	ck_assert_uint_eq(world.fake->dispatches, 3);
	world_close(&world);
}
END_TEST

/* So long that the device does not run dry while the host hears of an end, or as many as may be. */
START_TEST(of_short_submissions_there_are_more_in_flight)
{
	static const struct {
		uint64_t each_ns;
		uint32_t count;
	} lengths[] = {{50000, 4}, {200000, 3}, {250000, 2}, {2000000, 2}, {5000000, 1}};
	struct host_options options = world_options();
	struct job *jobs[6];
	struct world world;
	options.min_in_flight_ns = 500000;
	world_open_with(&world, &options);
	struct session *session = world_session(&world);

	for (unsigned i = 0; i < 6; i++) {
		jobs[i] = make_job(session);
		jobs[i]->estimate_ns = lengths[_i].each_ns;
	}
	for (unsigned i = 0; i < 6; i++)
		(void)run(&world, session, jobs[i]);
	ck_assert_uint_eq(world.device->in_flight_count, lengths[_i].count);
	for (unsigned i = 0; i < 6; i++)
		complete(&world, jobs[i]);
	world_close(&world);
}
END_TEST

static struct sched_item *item_of(struct session *session, uint64_t submission)
{
	for (uint32_t i = 0; i < NPUD_MAX_INFLIGHT_EVENTS; i++)
		if (session->pool[i].state != SUBMISSION_FREE && submission_id(&session->pool[i]) == submission)
			return &session->pool[i].item;
	return NULL;
}

START_TEST(what_cannot_meet_its_deadline_is_shed_in_time_and_never_runs)
{
	struct host_options options = world_options();
	struct world world;
	options.max_in_flight = 1;
	options.scheduler = &sched_fair;
	world_open_with(&world, &options);
	struct session *session = world_session(&world);
	struct job *a = make_job(session);
	uint64_t running = run(&world, session, a);
	uint64_t late = submit(session, make_job(session));
	struct sched_item *item = item_of(session, late);

	sched_fair.remove(world.host->sched, item, fake_now.v);
	item->deadline_ns = fake_now.v + 2000000;
	item->estimate_ns = 500000;
	sched_fair.enqueue(world.host->sched, item, fake_now.v);
	device_pump(world.device);
	/* The timer fires when the last moment to start it has passed, though the device is busy. */
	ck_assert_uint_eq(world.armed_ns, 1500001);
	pass_time(&world, 1500000);
	ck_assert(!has_result(session));
	pass_time(&world, 1);
	expect(session, late, OUT_SHED);
	complete(&world, a);
	expect(session, running, OUT_DONE);
	ck_assert_str_eq(world.fake->trace, "mmcD");
	world_close(&world);
}
END_TEST

START_TEST(a_tenant_that_used_up_its_time_runs_when_the_timer_fires)
{
	struct host_options options = world_options();
	struct world world;
	options.scheduler = &sched_fair;
	world_open_with(&world, &options);
	struct session *session = world_session(&world);
	struct sched *sched = world.host->sched;
	struct job *a = make_job(session);

	/* As if the configuration had said so. */
	sched_fair.tenant_close(sched, session->share.tenant);
	session->share.tenant->time_permille = 100;
	ck_assert_int_eq(sched_fair.tenant_open(sched, session->share.tenant), 0);
	sched_fair.session_open(sched, &session->share);
	sched_fair.queue_open(sched, &session->queue.share);
	uint64_t first = run(&world, session, a);
	fake_now.v += 20 * NSEC_PER_MSEC;
	complete(&world, a);
	expect(session, first, OUT_DONE);
	uint64_t second = submit(session, a);
	/* 10 ms were there; the estimated one was back when the other 19 were taken: 9 ms at a tenth. */
	ck_assert_uint_eq(world.device->in_flight_count, 0);
	ck_assert_uint_eq(world.armed_ns, 90 * NSEC_PER_MSEC + 1);
	pass_time(&world, 90 * NSEC_PER_MSEC + 1);
	ck_assert_uint_eq(world.device->in_flight_count, 1);
	complete(&world, a);
	expect(session, second, OUT_DONE);
	/* Before it has its time again it would be kept. */
	fake_now.v += NSEC_PER_SEC;
	world_close(&world);
}
END_TEST

START_TEST(a_tenant_does_not_get_rid_of_what_it_owes_by_coming_back)
{
	struct host_options options = world_options();
	struct world world;
	options.scheduler = &sched_fair;
	world_open_with(&world, &options);
	struct session *session = world_session_of(&world, 1000);
	struct session *other = world_session_of(&world, 1001);
	const struct tenant *tenant = session->tenant;
	struct job *a = make_job(session);
	struct job *b = make_job(other);

	run(&world, session, a);
	submit(other, b);
	fake_now.v += 50 * NSEC_PER_MSEC;
	complete(&world, a);
	world_work(&world);
	session_close(session);
	world_work(&world);
	ck_assert_uint_eq(world.host->session_count, 1);
	session = world_session_of(&world, 1000);
	ck_assert_ptr_eq(session->tenant, tenant);
	session_close(session);
	world_work(&world);
	/* Nobody waits any more: it is forgotten with the next who comes or goes. */
	complete(&world, b);
	struct session *third = world_session_of(&world, 1002);
	ck_assert_ptr_eq(list_first(&world.host->tenants), &other->tenant->link);
	ck_assert_ptr_eq(third->tenant->link.prev, &other->tenant->link);
	world_close(&world);
}
END_TEST

START_TEST(a_prepared_job_is_on_the_device_at_most_once)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t first = run(&world, session, job);
	uint64_t second = run(&world, session, job);

	ck_assert_uint_eq(world.fake->dispatches, 1);
	complete(&world, job);
	ck_assert_uint_eq(world.fake->dispatches, 2);
	expect(session, first, OUT_DONE);
	complete(&world, job);
	expect(session, second, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(the_chain_is_rewritten_before_each_run)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);

	run(&world, session, job);
	union zy3_tcb *chain = (union zy3_tcb *)(void *)(session->space->memory + job->arena_offset);
	uint32_t spc = job->pristine[job->tcbs - 1].task.spc;
	/* what a hostile program can do */
	memset(session->space->memory, 0xff, ARENA_PAGE);
	memset(chain, 0xff, job->tcbs * ZY_TCB_BYTES);
	complete(&world, job);
	run(&world, session, job);
	static const uint32_t end[4] = ZY3_END_PACKET;
	ck_assert_uint_eq(chain[job->tcbs - 1].task.spc, spc);
	ck_assert_int_eq(memcmp(session->space->memory, end, sizeof(end)), 0);
	world_close(&world);
}
END_TEST

START_TEST(a_tenure_change_follows_the_protocol)
{
	struct world world;
	world_open(&world);
	struct session *a = world_session(&world);
	struct session *b = world_session_of(&world, 1001);
	struct job *job_a = make_job(a);
	struct job *job_b = make_job(b);

	run(&world, a, job_a);
	run(&world, b, job_b);
	/* a busy device is not detached */
	ck_assert_str_eq(world.fake->trace, "mmcD");
	complete(&world, job_a);
	/* destroy the pool, scrub, unmap a's two, map b's two, create a pool, first doorbell */
	ck_assert_str_eq(world.fake->trace, "mmcDdSiuummcD");
	ck_assert(world.fake->firsts[1]);
	ck_assert_ptr_eq(world.device->attached, b->space);
	ck_assert_uint_eq(world.device->counters.tenures, 2);
	for (int i = 0; i < FAKE_MAPS; i++)
		if (world.fake->maps[i].bytes)
			ck_assert_uint_eq(world.fake->maps[i].iova >> 32, b->space->slot);
	world_close(&world);
}
END_TEST

START_TEST(without_scrub_only_a_shared_slot_is_reset)
{
	struct world world;
	struct host_options options = world_options();
	options.scrub = SCRUB_NONE;
	world_open_with(&world, &options);
	struct session *sessions[8];
	struct job *jobs[8];

	for (int i = 0; i < 8; i++) {
		sessions[i] = world_session(&world);
		jobs[i] = make_job(sessions[i]);
	}
	ck_assert_uint_eq(sessions[7]->space->slot, sessions[0]->space->slot);
	for (int i = 0; i < 7; i++) {
		run(&world, sessions[i], jobs[i]);
		complete(&world, jobs[i]);
	}
	ck_assert_ptr_null(strchr(world.fake->trace, 'S'));
	run(&world, sessions[7], jobs[7]);
	ck_assert_ptr_nonnull(strchr(world.fake->trace, 'S'));
	world_close(&world);
}
END_TEST

START_TEST(global_memory_is_overwritten_by_a_job_with_nothing_else_mapped)
{
	struct world world;
	struct host_options options = world_options();
	if (_i == 0)
		options.scrub = SCRUB_GM;
	else
		options.quirks.reset_keeps_gm = true;
	world_open_with(&world, &options);
	struct session *a = world_session(&world);
	struct session *b = world_session_of(&world, 1001);
	struct job *job_a = make_job(a);
	struct job *job_b = make_job(b);

	run(&world, a, job_a);
	complete(&world, job_a);
	/* the same session again needs none */
	run(&world, a, job_a);
	complete(&world, job_a);
	world.fake->trace[0] = '\0';
	uint64_t submission = run(&world, b, job_b);
	/* leave, (reset,) unmap a's two; map, run and unmap the scrub; map b's two, create, doorbell */
	ck_assert_str_eq(world.fake->trace, _i == 0 ? "duummcDduummcD" : "dSiuummcDduummcD");
	complete(&world, job_b);
	expect(b, submission, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_scrub_that_fails_lets_nobody_in_before_a_reset)
{
	struct world world;
	struct host_options options = world_options();
	options.scrub = SCRUB_GM;
	world_open_with(&world, &options);
	struct session *a = world_session(&world);
	struct session *b = world_session(&world);
	struct job *job_a = make_job(a);
	struct job *job_b = make_job(b);

	run(&world, a, job_a);
	complete(&world, job_a);
	world.fake->failing = FAKE_SCRUB;
	world.fake->trace[0] = '\0';
	uint64_t submission = submit(b, job_b);
	ck_assert(worker_step(world.device->worker));
	ck_assert_str_eq(world.fake->trace, "duummcDuu");
	ck_assert_int_eq(world.device->state, DEV_RECOVERING);
	world.fake->failing = 0;
	world_work(&world);
	complete(&world, job_b);
	expect(b, submission, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_pool_that_cannot_be_left_is_reset)
{
	struct world world;
	world_open(&world);
	struct session *a = world_session(&world);
	struct session *b = world_session(&world);
	struct job *job_a = make_job(a);
	struct job *job_b = make_job(b);

	run(&world, a, job_a);
	complete(&world, job_a);
	world.fake->idle = 0;
	world.fake->failing = FAKE_STAYS_BUSY;
	run(&world, b, job_b);
	/* abort, then reset (which is the scrub too) */
	ck_assert_str_eq(world.fake->trace, "mmcDaSiuummcD");
	world.fake->failing = 0;
	complete(&world, job_b);
	world_close(&world);
}
END_TEST

START_TEST(a_switch_that_fails_everywhere_takes_the_device_offline)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);

	world.fake->failing = FAKE_CREATE | FAKE_RESET | FAKE_VFIO_RESET;
	uint64_t submission = run(&world, session, job);
	ck_assert_int_eq(world.device->state, DEV_OFFLINE);
	expect(session, submission, OUT_DEVICE_GONE);
	uint64_t ignored;
	ck_assert_int_eq(try_submit(session, job, 0, &ignored, NULL), -ENODEV);
	world_close(&world);
}
END_TEST

START_TEST(a_switch_that_fails_once_is_made_good_by_a_reset)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);

	world.fake->failing = FAKE_CREATE;
	uint64_t submission = submit(session, job);
	ck_assert(worker_step(world.device->worker)); /* the switch */
	world.fake->failing = 0;
	world_work(&world);
	ck_assert_int_eq(world.device->state, DEV_READY);
	complete(&world, job);
	expect(session, submission, OUT_DONE);
	world_close(&world);
}
END_TEST

/* It was about to map the session's memory when the reset before that failed. */
START_TEST(a_switch_that_fails_before_it_maps_holds_on_to_nothing)
{
	const bool closes = _i;
	struct world world;
	world_open(&world);
	struct session *first = world_session(&world), *second = world_session_of(&world, 1001);
	struct job *one = make_job(first), *two = make_job(second);

	uint64_t before = run(&world, first, one);
	complete(&world, one);
	expect(first, before, OUT_DONE);
	uint64_t submission = submit(second, two);
	if (closes)
		session_close(second);
	world.fake->failing = FAKE_RESET;
	ck_assert(worker_step(world.device->worker));
	world.fake->failing = 0;
	world_work(&world);
	if (closes) {
		ck_assert_uint_eq(world.host->session_count, 1);
	} else {
		complete(&world, two);
		expect(second, submission, OUT_DONE);
	}
	/* whoever comes next maps its own and nothing else */
	uint64_t next = run(&world, first, one);
	complete(&world, one);
	expect(first, next, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(memory_that_cannot_be_mapped_costs_its_owner_the_job)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct session *other = world_session_of(&world, 1001);
	struct job *job = make_job(session);
	struct job *good = make_job(other);

	world.fake->failing = FAKE_MAP;
	uint64_t submission = submit(session, job);
	ck_assert(worker_step(world.device->worker));
	world.fake->failing = 0;
	world_work(&world);
	expect(session, submission, OUT_FAULT);
	uint64_t fine = run(&world, other, good);
	complete(&world, good);
	expect(other, fine, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_tenure_is_worth_several_switches_while_its_session_has_work)
{
	struct host_options options = world_options();
	struct world world;
	options.scrub = SCRUB_NONE;
	options.max_in_flight = 1;
	world_open_with(&world, &options);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct job *one = make_job(a), *two = make_job(a), *three = make_job(a), *other = make_job(b);
	submit(a, one);
	fake_now.v += NSEC_PER_MSEC; /* the switch takes so long */
	world_work(&world);
	submit(b, other);
	submit(a, two);
	submit(a, three);
	complete(&world, one);
	/* b came first, but a has hardly begun */
	ck_assert_ptr_eq(world.device->attached, a->space);
	ck_assert_uint_eq(world.device->in_flight_count, 1);
	fake_now.v += QUANTUM_SWITCHES * NSEC_PER_MSEC;
	complete(&world, two);
	ck_assert_ptr_eq(world.device->attached, b->space);
	complete(&world, other);
	complete(&world, three);
	ck_assert_ptr_eq(world.device->attached, a->space);
	/* and with nothing to do it goes at once */
	fake_now.v += QUANTUM_SWITCHES * NSEC_PER_MSEC;
	run(&world, b, other);
	ck_assert_ptr_eq(world.device->attached, b->space);
	complete(&world, other);
	world_close(&world);
}
END_TEST

START_TEST(a_lost_interrupt_is_found_by_two_idle_looks)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t submission = run(&world, session, job);

	ck_assert_uint_gt(world.armed_ns, 0);
	world.fake->idle = 1;
	device_tick(world.device);
	ck_assert(!has_result(session));
	device_tick(world.device);
	expect(session, submission, OUT_DONE);
	ck_assert_uint_eq(world.device->counters.lost_interrupts, 1);
	world_close(&world);
}
END_TEST

START_TEST(print_text_reaches_its_session_bounded_and_the_emitter_goes_on)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job_of(session, make_buffer(session, 8192, false), 2, true);
	uint64_t submission = run(&world, session, job);
	const union zy3_tcb *last = &job->pristine[job->tcbs - 1];
	char *text = (char *)session->space->memory + (last->task.pprint - ARENA_OFFSET);

	memset(text, 'x', 1024);
	/* a length beyond the page, then a short one */
	report(&world, NPU_EVENT_SIGNAL, job_last_tcb(job).v, ZY3_SIGNAL_PRINT | 0xffff);
	device_irq(world.device);
	memcpy(text, "hello", 6);
	report(&world, NPU_EVENT_SIGNAL, job_last_tcb(job).v, ZY3_SIGNAL_PRINT | 6);
	device_irq(world.device);
	struct session_event event;
	session_peek_event(session, &event);
	ck_assert_int_eq(event.kind, EVENT_PRINT);
	ck_assert_uint_eq(event.print->bytes, NPUD_MAX_PRINT_BYTES);
	session_pop_event(session, &event);
	session_peek_event(session, &event);
	ck_assert_uint_eq(event.print->submission, submission);
	ck_assert_uint_eq(event.print->bytes, 5);
	ck_assert_int_eq(memcmp(event.print->text, "hello", 5), 0);
	ck_assert_uint_eq(event.print->group, 1);
	ck_assert_uint_eq(event.print->task, 3);
	session_pop_event(session, &event);
	ck_assert_uint_eq(world.fake->acks, 2);
	/* a reader that does not read costs prints, never memory */
	for (unsigned i = 0; i < SESSION_PRINTS + 4; i++) {
		report(&world, NPU_EVENT_SIGNAL, job_last_tcb(job).v, ZY3_SIGNAL_PRINT | 6);
		device_irq(world.device);
	}
	ck_assert_uint_eq(session->print_count, SESSION_PRINTS);
	ck_assert_uint_eq(session->prints_dropped, 4);
	world_close(&world);
}
END_TEST

START_TEST(a_device_that_goes_away_ends_everything_and_is_not_touched_again)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *a = make_job(session);
	struct job *b = make_job(session);
	uint64_t running = run(&world, session, a);
	uint64_t waiting = run(&world, session, a);
	uint64_t also = run(&world, session, b);

	world.fake->gone = true;
	device_life(world.device);
	world_work(&world);
	ck_assert_int_eq(world.device->state, DEV_GONE);
	ck_assert_uint_eq(world.device->mapping_count, 0);
	expect(session, running, OUT_DEVICE_GONE);
	expect(session, waiting, OUT_DEVICE_GONE);
	expect(session, also, OUT_DEVICE_GONE);
	size_t calls = strlen(world.fake->trace);
	device_irq(world.device);
	device_tick(world.device);
	device_life(world.device);
	ck_assert_uint_eq(strlen(world.fake->trace), calls);
	ck_assert(!world.watching);
	world_close(&world);
}
END_TEST

START_TEST(a_device_that_goes_away_during_a_switch_ends_everything)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t submission = submit(session, job);

	world.fake->gone = true;
	world_work(&world);
	ck_assert_int_eq(world.device->state, DEV_GONE);
	expect(session, submission, OUT_DEVICE_GONE);
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device");
	TCase *tcase = tcase_create("device");

	tcase_add_test(tcase, a_job_runs_and_completes_once);
	tcase_add_test(tcase, the_second_job_is_linked_behind_the_first);
	tcase_add_test(tcase, a_matching_pointer_completes_all_before_it);
	tcase_add_test(tcase, unknown_pointers_are_counted_and_end_nothing);
	tcase_add_test(tcase, in_flight_work_is_bounded);
	tcase_add_loop_test(tcase, of_short_submissions_there_are_more_in_flight, 0, 5);
	tcase_add_test(tcase, what_cannot_meet_its_deadline_is_shed_in_time_and_never_runs);
	tcase_add_test(tcase, a_tenant_that_used_up_its_time_runs_when_the_timer_fires);
	tcase_add_test(tcase, a_tenant_does_not_get_rid_of_what_it_owes_by_coming_back);
	tcase_add_test(tcase, a_prepared_job_is_on_the_device_at_most_once);
	tcase_add_test(tcase, the_chain_is_rewritten_before_each_run);
	tcase_add_test(tcase, a_tenure_change_follows_the_protocol);
	tcase_add_test(tcase, without_scrub_only_a_shared_slot_is_reset);
	tcase_add_loop_test(tcase, global_memory_is_overwritten_by_a_job_with_nothing_else_mapped, 0, 2);
	tcase_add_test(tcase, a_scrub_that_fails_lets_nobody_in_before_a_reset);
	tcase_add_test(tcase, a_pool_that_cannot_be_left_is_reset);
	tcase_add_test(tcase, a_switch_that_fails_everywhere_takes_the_device_offline);
	tcase_add_test(tcase, a_switch_that_fails_once_is_made_good_by_a_reset);
	tcase_add_loop_test(tcase, a_switch_that_fails_before_it_maps_holds_on_to_nothing, 0, 2);
	tcase_add_test(tcase, memory_that_cannot_be_mapped_costs_its_owner_the_job);
	tcase_add_test(tcase, a_tenure_is_worth_several_switches_while_its_session_has_work);
	tcase_add_test(tcase, a_lost_interrupt_is_found_by_two_idle_looks);
	tcase_add_test(tcase, print_text_reaches_its_session_bounded_and_the_emitter_goes_on);
	tcase_add_test(tcase, a_device_that_goes_away_ends_everything_and_is_not_touched_again);
	tcase_add_test(tcase, a_device_that_goes_away_during_a_switch_ends_everything);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
