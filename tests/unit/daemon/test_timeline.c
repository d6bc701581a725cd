/* SPDX-License-Identifier: Apache-2.0 */
/* The past: its instants are those at which it happened, it is bounded, and strangers do not see it. */
#include "daemon/core/tenant.h"
#include "daemon/core/timeline.h"
#include "daemon/util/alloc_count.h"
#include "tests/unit/daemon/world.h"

static const struct viewer sees_all = {.all = true};

static struct timeline_entry last_entry(const struct world *world)
{
	struct timeline_page page;
	uint64_t from = 0;

	do {
		timeline_read(world->host->timeline, &sees_all, from, &page);
		from = page.next;
	} while (page.next < page.end);
	ck_assert_uint_gt(page.count, 0);
	return page.entries[page.count - 1];
}

START_TEST(a_run_is_told_with_all_its_instants)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session_of(&world, 1000);
	struct job *gate = make_job(session), *job = make_job(session);
	uint64_t t0 = fake_now.v;
	run(&world, session, gate);
	fake_now.v += 10;
	uint64_t name = run(&world, session, job); /* behind the gate, in the hardware */
	fake_now.v += 100;
	complete(&world, gate);
	fake_now.v += 1000;
	complete(&world, job);
	struct timeline_entry entry = last_entry(&world);
	ck_assert_uint_eq(entry.session, session->id);
	ck_assert_uint_eq(entry.submission, name);
	ck_assert_uint_eq(entry.job, job->handle);
	ck_assert_uint_eq(entry.queue, 0);
	ck_assert_uint_eq(entry.tenant, session->tenant->key);
	ck_assert_uint_eq(entry.device, 0);
	ck_assert_int_eq(entry.class, SCHED_NORMAL);
	ck_assert_int_eq(entry.outcome, OUT_DONE);
	ck_assert_uint_eq(entry.submitted.v - t0, 10);
	ck_assert_uint_eq(entry.ready.v - t0, 10);
	ck_assert_uint_ge(entry.scheduled.v, entry.ready.v);
	ck_assert_uint_eq(entry.started.v - t0, 110); /* not its doorbell: the gate was in its way */
	ck_assert_uint_eq(entry.finished.v - t0, 1110);
	world_close(&world);
}
END_TEST

START_TEST(what_waits_for_another_run_is_ready_when_that_has_ended)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	run(&world, session, job);
	uint64_t t0 = fake_now.v;
	submit(session, job);
	fake_now.v += 70;
	complete(&world, job);
	fake_now.v += 5;
	complete(&world, job);
	struct timeline_entry entry = last_entry(&world);
	ck_assert_uint_eq(entry.submitted.v - t0, 0);
	ck_assert_uint_eq(entry.ready.v - t0, 70);
	ck_assert_uint_eq(entry.scheduled.v - t0, 70);
	ck_assert_uint_eq(entry.finished.v - t0, 75);
	world_close(&world);
}
END_TEST

START_TEST(what_never_ran_has_no_instants_of_the_device)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	/* every place has been used before */
	for (unsigned i = 0; i < NPUD_MAX_INFLIGHT_EVENTS; i++) {
		uint64_t name = run(&world, session, job);
		complete(&world, job);
		expect(session, name, OUT_DONE);
	}
	run(&world, session, job);
	uint64_t behind = submit(session, job);
	fake_now.v += 9;
	ck_assert_int_eq(session_cancel(session, behind), CANCEL_QUEUED);
	struct timeline_entry entry = last_entry(&world);
	ck_assert_uint_eq(entry.submission, behind);
	ck_assert_int_eq(entry.outcome, OUT_CANCELLED);
	ck_assert_uint_eq(entry.ready.v, 0);
	ck_assert_uint_eq(entry.scheduled.v, 0);
	ck_assert_uint_eq(entry.started.v, 0);
	ck_assert_uint_eq(entry.finished.v - entry.submitted.v, 9);
	session_close(session);
	world_close(&world);
}
END_TEST

START_TEST(the_ring_keeps_the_last_and_allocates_nothing)
{
	struct timeline *timeline = timeline_new();
	struct world world;
	struct timeline_page page;
	uint64_t expected = 4, from = 0;

	world_open(&world);
	struct session *session = world_session(&world);
	run(&world, session, make_job(session));
	struct submission *submission = &session->pool[0];
	uint64_t before = alloc_count();
	for (uint64_t i = 0; i < NPUD_TIMELINE_ENTRIES + 3; i++)
		timeline_add(timeline, submission, (nsec_t){i + 1});
	uint64_t after = alloc_count();
	ck_assert_uint_eq(after, before);
	do {
		timeline_read(timeline, &sees_all, from, &page);
		for (uint32_t i = 0; i < page.count; i++, expected++) {
			ck_assert_uint_eq(page.numbers[i], expected);
			ck_assert_uint_eq(page.entries[i].finished.v, expected);
		}
		from = page.next;
	} while (page.next < page.end);
	ck_assert_uint_eq(expected, NPUD_TIMELINE_ENTRIES + 4);
	/* nothing more, until there is */
	timeline_read(timeline, &sees_all, from, &page);
	ck_assert_uint_eq(page.count, 0);
	ck_assert_uint_eq(page.next, from);
	timeline_add(timeline, submission, (nsec_t){99});
	timeline_read(timeline, &sees_all, from, &page);
	ck_assert_uint_eq(page.count, 1);
	ck_assert_uint_eq(page.entries[0].finished.v, 99);
	timeline_read(timeline, &sees_all, UINT64_MAX, &page);
	ck_assert_uint_eq(page.count, 0);
	ck_assert_uint_eq(page.next, page.end);
	timeline_free(timeline);
	session_close(session);
	world_close(&world);
}
END_TEST

START_TEST(a_tenant_sees_its_own_past_even_of_sessions_that_are_gone)
{
	struct world world;
	struct timeline_page page;

	world_open(&world);
	struct session *mine = world_session_of(&world, 1000), *stranger = world_session_of(&world, 2000);
	struct job *job = make_job(mine), *other = make_job(stranger);
	run(&world, mine, job);
	complete(&world, job);
	run(&world, stranger, other);
	complete(&world, other);
	uint64_t gone = mine->id;
	session_close(mine);
	world_work(&world);
	struct session *again = world_session_of(&world, 1000);
	struct viewer viewer = viewer_of(again);
	timeline_read(world.host->timeline, &viewer, 0, &page);
	ck_assert_uint_eq(page.count, 1);
	ck_assert_uint_eq(page.entries[0].session, gone);
	ck_assert_uint_eq(page.next, page.end);
	viewer = viewer_of(stranger);
	timeline_read(world.host->timeline, &viewer, 0, &page);
	ck_assert_uint_eq(page.count, 1);
	ck_assert_uint_eq(page.entries[0].session, stranger->id);
	stranger->identity.rights = RIGHT_BIT(RIGHT_SESSIONS);
	viewer = viewer_of(stranger);
	timeline_read(world.host->timeline, &viewer, 0, &page);
	ck_assert_uint_eq(page.count, 2);
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("timeline");
	TCase *tcase = tcase_create("timeline");

	tcase_add_test(tcase, a_run_is_told_with_all_its_instants);
	tcase_add_test(tcase, what_waits_for_another_run_is_ready_when_that_has_ended);
	tcase_add_test(tcase, what_never_ran_has_no_instants_of_the_device);
	tcase_add_test(tcase, the_ring_keeps_the_last_and_allocates_nothing);
	tcase_add_test(tcase, a_tenant_sees_its_own_past_even_of_sessions_that_are_gone);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
