/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sessions: its numbers are those of what was made, and nobody sees what is not his. */
#include "daemon/core/offence.h"
#include "daemon/core/ps.h"
#include "daemon/util/alloc_count.h"
#include "tests/unit/daemon/world.h"

static const struct viewer sees_all = {.all = true};

static struct ps_session row_of(const struct world *world, const struct session *session)
{
	struct ps_page page;

	ps_read(world->host, &sees_all, session->id, &page);
	ck_assert_uint_ge(page.count, 1);
	ck_assert_uint_eq(page.sessions[0].id, session->id);
	return page.sessions[0];
}

static void expect_load(const struct submission_load *load, uint32_t waiting, uint32_t queued, uint32_t running)
{
	ck_assert_uint_eq(load->in[SUBMISSION_WAITING], waiting);
	ck_assert_uint_eq(load->in[SUBMISSION_QUEUED], queued);
	ck_assert_uint_eq(load->in[SUBMISSION_RUNNING], running);
}

static struct queue *make_queue(struct session *session, enum sched_class class)
{
	struct queue_options options = {.class = class};
	struct queue *queue;

	ck_assert_int_eq(queue_create(session, &options, &queue, NULL), 0);
	return queue;
}

static uint64_t submit_to(struct session *session, const struct job *job, const struct queue *queue)
{
	struct submit_request request = {.job = job->handle, .queue = queue->handle};
	struct submit_reply reply;

	ck_assert_int_eq(session_submit(session, &request, &reply, NULL), 0);
	return reply.submission;
}

START_TEST(a_session_is_told_with_what_it_has)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session_of(&world, 1234);
	session_set_client(session, "face\x01\xff\"finder, the one with a name that is too long");
	make_buffer(session, 8192, false);
	make_buffer(session, 4096, true);
	make_job_of(session, make_buffer(session, 8192, false), 1, false);
	make_queue(session, SCHED_IDLE);
	struct ps_session row = row_of(&world, session);
	ck_assert_uint_eq(row.uid, 1234);
	ck_assert_int_eq(row.pid, 1);
	ck_assert_str_eq(row.client, "face??\"finder, the one with a n");
	ck_assert_ptr_eq(row.device, world.device);
	ck_assert_int_eq(row.state, PS_OPEN);
	ck_assert(!row.attached);
	ck_assert_uint_eq(row.queues, 2);
	ck_assert_uint_eq(row.buffers, 3);
	ck_assert_uint_eq(row.buffer_bytes, 20480);
	ck_assert_uint_eq(row.jobs, 1);
	expect_load(&row.load, 0, 0, 0);
	ck_assert_uint_eq(row.submission_count, 0);
	world_close(&world);
}
END_TEST

START_TEST(submissions_are_counted_where_they_are_from_the_first_to_the_last)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	struct job *jobs[4];
	uint64_t names[5];
	for (unsigned i = 0; i < 4; i++)
		jobs[i] = make_job(session);
	for (unsigned i = 0; i < 4; i++)
		names[i] = run(&world, session, jobs[i]);
	names[4] = submit(session, jobs[3]); /* a second run of the same job */
	struct ps_session row = row_of(&world, session);
	ck_assert(row.attached);
	expect_load(&row.load, 1, 2, 2);
	expect_load(&world.host->load[SCHED_NORMAL], 1, 2, 2);
	ck_assert_uint_eq(row.submission_count, 5);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_uint_eq(row.submissions[i], names[i]);
	complete(&world, jobs[0]);
	row = row_of(&world, session);
	expect_load(&row.load, 1, 1, 2);
	ck_assert_uint_eq(row.unreported, 1);
	ck_assert_uint_eq(row.completed, 1);
	expect(session, names[0], OUT_DONE);
	ck_assert_uint_eq(row_of(&world, session).unreported, 0);
	for (unsigned i = 1; i < 4; i++)
		complete(&world, jobs[i]);
	complete(&world, jobs[3]);
	row = row_of(&world, session);
	expect_load(&row.load, 0, 0, 0);
	expect_load(&world.host->load[SCHED_NORMAL], 0, 0, 0);
	ck_assert_uint_eq(row.completed, 5);
	ck_assert_uint_eq(row.unreported, 4);
	ck_assert_uint_eq(row.submission_count, 0);
	world_close(&world);
}
END_TEST

START_TEST(what_is_cancelled_or_loses_its_session_is_counted_no_longer)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world), *other = world_session_of(&world, 7);
	struct job *job = make_job(session);
	run(&world, session, job);
	uint64_t behind = submit(session, job);
	submit(other, make_job(other));
	expect_load(&world.host->load[SCHED_NORMAL], 1, 1, 1);
	ck_assert_int_eq(session_cancel(session, behind), CANCEL_QUEUED);
	expect_load(&world.host->load[SCHED_NORMAL], 0, 1, 1);
	session_close(other);
	world_work(&world);
	expect_load(&world.host->load[SCHED_NORMAL], 0, 0, 1);
	complete(&world, job);
	expect_load(&world.host->load[SCHED_NORMAL], 0, 0, 0);
	world_close(&world);
}
END_TEST

/* Lost to another's fault, and put back. */
START_TEST(what_a_recovery_puts_back_is_queued_again)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	struct job *bad = make_job(session), *good = make_job(session);
	run(&world, session, bad);
	run(&world, session, good);
	expect_load(&world.host->load[SCHED_NORMAL], 0, 0, 2);
	report(&world, NPU_EVENT_EXCEPTION, job_last_tcb(bad).v, 0);
	device_irq(world.device);
	world_work(&world);
	struct ps_session row = row_of(&world, session);
	ck_assert_uint_eq(row.completed, 1);
	ck_assert_uint_eq(row.load.in[SUBMISSION_QUEUED] + row.load.in[SUBMISSION_RUNNING], 1);
	complete(&world, good);
	expect_load(&world.host->load[SCHED_NORMAL], 0, 0, 0);
	world_close(&world);
}
END_TEST

START_TEST(totals_are_of_the_class_that_a_queue_has_now)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	struct queue *queue = make_queue(session, SCHED_IDLE);
	struct job *running = make_job(session), *job = make_job(session);
	submit_to(session, running, queue);
	world_work(&world);
	submit_to(session, running, queue);
	submit_to(session, job, queue);
	expect_load(&world.host->load[SCHED_IDLE], 2, 0, 1);
	ck_assert_int_eq(queue_change(queue, &(struct queue_options){.class = SCHED_NORMAL}, NULL), 0);
	expect_load(&world.host->load[SCHED_IDLE], 0, 0, 0);
	expect_load(&world.host->load[SCHED_NORMAL], 2, 0, 1);
	complete(&world, running);
	complete(&world, running);
	complete(&world, job);
	expect_load(&world.host->load[SCHED_NORMAL], 0, 0, 0);
	world_close(&world);
}
END_TEST

START_TEST(device_time_and_its_share_are_told)
{
	struct world world;

	world_open(&world);
	struct session *first = world_session(&world);
	struct job *job = make_job(first);
	run(&world, first, job);
	fake_now.v += 3000;
	complete(&world, job);
	ck_assert_uint_eq(row_of(&world, first).device_ns, 3000);
	ck_assert_uint_eq(row_of(&world, first).share_permille, 1000);
	/* of the time since it is there: what went before is not held against it */
	struct session *second = world_session(&world);
	ck_assert_uint_eq(row_of(&world, second).share_permille, 0);
	struct job *other = make_job(second);
	run(&world, second, other);
	fake_now.v += 1000;
	complete(&world, other);
	ck_assert_uint_eq(row_of(&world, second).device_ns, 1000);
	ck_assert_uint_eq(row_of(&world, second).share_permille, 1000);
	ck_assert_uint_eq(row_of(&world, first).share_permille, 750);
	world_close(&world);
}
END_TEST

START_TEST(only_the_oldest_submissions_are_named)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	uint64_t names[3 * NPUD_MAX_PS_SUBMISSIONS];
	for (unsigned i = 0; i < 3 * NPUD_MAX_PS_SUBMISSIONS; i++)
		names[i] = run(&world, session, job);
	/* places are used again: the order in the pool is not that of arrival any more */
	for (unsigned i = 0; i < NPUD_MAX_PS_SUBMISSIONS; i++) {
		complete(&world, job);
		expect(session, names[i], OUT_DONE);
		(void)run(&world, session, job);
	}
	struct ps_session row = row_of(&world, session);
	ck_assert_uint_eq(row.submission_count, NPUD_MAX_PS_SUBMISSIONS);
	for (unsigned i = 0; i < NPUD_MAX_PS_SUBMISSIONS; i++)
		ck_assert_uint_eq(row.submissions[i], names[NPUD_MAX_PS_SUBMISSIONS + i]);
	session_close(session);
	world_close(&world);
}
END_TEST

START_TEST(a_tenant_sees_its_own_sessions_and_the_right_shows_all)
{
	struct session *sessions[6];
	struct world world;
	struct ps_page page;

	world_open(&world);
	for (unsigned i = 0; i < 6; i++)
		sessions[i] = world_session_of(&world, 1000 + i % 2);
	struct viewer viewer = viewer_of(sessions[1]);
	ps_read(world.host, &viewer, 0, &page);
	ck_assert_uint_eq(page.count, 3);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(page.sessions[i].id, sessions[2 * i + 1]->id);
	sessions[1]->identity.rights = RIGHTS_ALL & ~RIGHT_BIT(RIGHT_SESSIONS);
	viewer = viewer_of(sessions[1]);
	ps_read(world.host, &viewer, 0, &page);
	ck_assert_uint_eq(page.count, 3);
	sessions[1]->identity.rights = RIGHT_BIT(RIGHT_SESSIONS);
	viewer = viewer_of(sessions[1]);
	ps_read(world.host, &viewer, 0, &page);
	ck_assert_uint_eq(page.count, 6);
	world_close(&world);
}
END_TEST

/* A page that ends before sessions of others does not tell that they are there. */
START_TEST(pages_are_complete_and_say_nothing_of_what_is_not_seen)
{
	struct session *mine[2 * NPUD_MAX_PS_SESSIONS_PER_FRAME];
	struct world world;
	struct ps_page page;

	world_open(&world);
	for (unsigned i = 0; i < 2 * NPUD_MAX_PS_SESSIONS_PER_FRAME; i++) {
		mine[i] = world_session_of(&world, 1000);
		world_session_of(&world, 2000);
	}
	const struct viewer viewer = viewer_of(mine[0]);
	uint64_t before = alloc_count();
	ps_read(world.host, &viewer, 0, &page);
	uint64_t after = alloc_count();
	ck_assert_uint_eq(after, before);
	ck_assert_uint_eq(page.count, NPUD_MAX_PS_SESSIONS_PER_FRAME);
	ck_assert_uint_eq(page.next, mine[NPUD_MAX_PS_SESSIONS_PER_FRAME]->id);
	ps_read(world.host, &viewer, page.next, &page);
	ck_assert_uint_eq(page.count, NPUD_MAX_PS_SESSIONS_PER_FRAME);
	ck_assert_uint_eq(page.sessions[0].id, mine[NPUD_MAX_PS_SESSIONS_PER_FRAME]->id);
	ck_assert_uint_eq(page.next, 0);
	ps_read(world.host, &viewer, UINT64_MAX, &page);
	ck_assert_uint_eq(page.count, 0);
	ck_assert_uint_eq(page.next, 0);
	world_close(&world);
}
END_TEST

START_TEST(a_session_whose_client_is_gone_is_told_until_its_memory_is)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	run(&world, session, make_job(session));
	session_close(session);
	ck_assert_int_eq(row_of(&world, session).state, PS_CLOSING);
	ck_assert_uint_eq(row_of(&world, session).unreported, 0);
	world_close(&world);
}
END_TEST

START_TEST(a_session_that_is_refused_is_told_so_until_it_is_pardoned)
{
	struct host_options options = world_options();
	struct world world;

	options.quarantine.session_threshold = 1;
	world_open_with(&world, &options);
	struct session *session = world_session(&world);
	struct job *bad = make_job(session);
	run(&world, session, bad);
	ck_assert_int_eq(row_of(&world, session).state, PS_OPEN);
	report(&world, NPU_EVENT_FAULT, job_last_tcb(bad).v, 0);
	device_irq(world.device);
	world_work(&world);
	ck_assert_int_eq(row_of(&world, session).state, PS_QUARANTINED);
	ck_assert_int_eq(offence_pardon_session(world.host, session->id, NULL), 0);
	ck_assert_int_eq(row_of(&world, session).state, PS_OPEN);
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ps");
	TCase *tcase = tcase_create("ps");

	tcase_add_test(tcase, a_session_is_told_with_what_it_has);
	tcase_add_test(tcase, submissions_are_counted_where_they_are_from_the_first_to_the_last);
	tcase_add_test(tcase, what_is_cancelled_or_loses_its_session_is_counted_no_longer);
	tcase_add_test(tcase, what_a_recovery_puts_back_is_queued_again);
	tcase_add_test(tcase, totals_are_of_the_class_that_a_queue_has_now);
	tcase_add_test(tcase, device_time_and_its_share_are_told);
	tcase_add_test(tcase, only_the_oldest_submissions_are_named);
	tcase_add_test(tcase, a_tenant_sees_its_own_sessions_and_the_right_shows_all);
	tcase_add_test(tcase, pages_are_complete_and_say_nothing_of_what_is_not_seen);
	tcase_add_test(tcase, a_session_whose_client_is_gone_is_told_until_its_memory_is);
	tcase_add_test(tcase, a_session_that_is_refused_is_told_so_until_it_is_pardoned);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
