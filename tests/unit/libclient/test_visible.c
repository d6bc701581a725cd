/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions, reasons and the past as the library puts them together, from a daemon that is good, old, unwilling, or out
 * of order.
 */
#include "tests/unit/libclient/session.h"

#define SESSIONS 20ul
#define ENTRIES 100ul

typedef void (*answer_fn)(struct fake *daemon, Npud__Reply *reply, const Npud__Request *request);

static void begin_with(uint32_t minor, answer_fn answer)
{
	start();
	fake.minor = minor;
	fake.visible = answer;
}

/* ------------------------------------------------------------------ sessions */

static void reply_sessions(struct fake *daemon, Npud__Reply *reply, uint64_t first, uint32_t count, uint64_t next)
{
	static char tenant[] = "video:1000", client[] = "faces", name[] = "npu0";
	Npud__PsSession rows[NPUD_MAX_PS_SESSIONS_PER_FRAME + 1], *list[NPUD_MAX_PS_SESSIONS_PER_FRAME + 1];
	uint64_t submissions[NPUD_MAX_PS_SUBMISSIONS + 1] = {11, 12};
	Npud__PsTotals totals[2], *totals_list[] = {&totals[0], &totals[1]};
	Npud__Ps ps = NPUD__PS__INIT;

	for (uint32_t i = 0; i < count; i++) {
		npud__ps_session__init(&rows[i]);
		rows[i].session = first + i;
		rows[i].tenant = tenant;
		rows[i].client = client;
		rows[i].device_name = name;
		rows[i].state = NPUD__SESSION_STATE__SESSION_CLOSING;
		rows[i].queued = 3;
		rows[i].buffer_bytes = 4096 * (first + i);
		rows[i].submissions = submissions;
		rows[i].n_submissions = NPUD_MAX_PS_SUBMISSIONS + 1; /* one too many is left out */
		list[i] = &rows[i];
	}
	npud__ps_totals__init(&totals[0]);
	totals[0].class_ = NPUD__QUEUE_CLASS__CLASS_HIGH;
	totals[0].waiting = 7;
	npud__ps_totals__init(&totals[1]);
	totals[1].class_ = (Npud__QueueClass)77; /* of a later version */
	ps.totals = totals_list;
	ps.n_totals = 2;
	ps.sessions = list;
	ps.n_sessions = count;
	ps.next_session = next;
	ps.session_count = 1234;
	reply->body_case = NPUD__REPLY__BODY_PS;
	reply->ps = &ps;
	fake_reply(daemon, reply);
}

static void answer_sessions(struct fake *daemon, Npud__Reply *reply, const Npud__Request *request)
{
	uint64_t first = request->ps_query->from_session ? request->ps_query->from_session : 1;
	uint64_t left = SESSIONS + 1 - first;
	uint32_t count = left < NPUD_MAX_PS_SESSIONS_PER_FRAME ? (uint32_t)left : NPUD_MAX_PS_SESSIONS_PER_FRAME;

	reply_sessions(daemon, reply, first, count, first + count <= SESSIONS ? first + count : 0);
}

static void answer_too_many(struct fake *daemon, Npud__Reply *reply, const Npud__Request *request)
{
	(void)request;
	reply_sessions(daemon, reply, 1, NPUD_MAX_PS_SESSIONS_PER_FRAME + 1, 0);
}

static void answer_in_a_circle(struct fake *daemon, Npud__Reply *reply, const Npud__Request *request)
{
	(void)request;
	reply_sessions(daemon, reply, 3, 2, 5);
}

START_TEST(pages_become_one_table_of_sessions)
{
	struct npu_ps *ps = NULL;
	struct npu_ps_session session;
	struct npu_load load;
	uint32_t all = 0;

	begin_with(2, answer_sessions);
	begin();
	ck_assert_msg(npu_ps_read(npu, &ps) == 0, "%s", npu_error());
	npu_disconnect(npu); /* the table needs it no more */
	npu = NULL;
	ck_assert_uint_eq(npu_ps_count(ps), SESSIONS);
	for (size_t i = 0; i < SESSIONS; i++) {
		ck_assert_int_eq(npu_ps_session(ps, i, &session), 0);
		ck_assert_uint_eq(session.session, i + 1);
		ck_assert_uint_eq(session.buffer_bytes, 4096 * (i + 1));
	}
	ck_assert_str_eq(session.tenant, "video:1000");
	ck_assert_str_eq(session.client, "faces");
	ck_assert_str_eq(session.device_name, "npu0");
	ck_assert_int_eq(session.state, NPU_SESSION_CLOSING);
	ck_assert_uint_eq(session.load.queued, 3);
	ck_assert_uint_eq(session.submission_count, NPU_PS_SUBMISSIONS);
	ck_assert_uint_eq(session.submissions[1], 12);
	ck_assert_int_eq(npu_ps_session(ps, SESSIONS, &session), -ENOENT);
	ck_assert_int_eq(npu_ps_total(ps, NPU_CLASS_HIGH, &all, &load), 0);
	ck_assert_uint_eq(all, 1234);
	ck_assert_uint_eq(load.waiting, 7);
	ck_assert_int_eq(npu_ps_total(ps, NPU_CLASS_IDLE, NULL, &load), 0);
	ck_assert_uint_eq(load.waiting, 0);
	ck_assert_int_eq(npu_ps_total(ps, (enum npu_class)77, NULL, &load), -EINVAL);
	ck_assert_int_eq(npu_ps_total(ps, (enum npu_class)0, NULL, &load), -EINVAL);
	npu_ps_free(ps);
	npu_ps_free(NULL);
	finish();
}
END_TEST

START_TEST(a_daemon_that_tells_sessions_out_of_order_is_not_followed)
{
	static const answer_fn wrong[] = {answer_too_many, answer_in_a_circle};
	struct npu_ps *ps = NULL;

	begin_with(2, wrong[_i]);
	begin();
	ck_assert_int_eq(npu_ps_read(npu, &ps), -EPROTO);
	ck_assert_ptr_null(ps);
	ck_assert_ptr_nonnull(strstr(npu_error(), "or pages in a circle")); /* at the first such page */
	ck_assert_int_eq(npu_ping(npu), 0);
	finish();
}
END_TEST

/* ------------------------------------------------------------------ reasons */

static void answer_why(struct fake *daemon, Npud__Reply *reply, const Npud__Request *request)
{
	uint32_t ahead[] = {0, 5, 1, 0, 99};
	Npud__WhyLimit limits[] = {NPUD__WHY_LIMIT__LIMIT_ORDER, NPUD__WHY_LIMIT__LIMIT_DEVICE_OFFLINE,
				   (Npud__WhyLimit)31, (Npud__WhyLimit)1000};
	Npud__Why why = NPUD__WHY__INIT;

	if (request->why_query->session == 9) {
		fake_refuse(daemon, reply->serial, NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT, "has no submission");
		return;
	}
	why.session = request->why_query->session ? request->why_query->session : 4;
	why.submission = request->why_query->submission;
	why.state = NPUD__WHY_STATE__WHY_QUEUED;
	why.class_ = NPUD__QUEUE_CLASS__CLASS_NORMAL;
	why.position = 6;
	why.ahead = ahead;
	why.n_ahead = 5;
	why.ahead_own = 2;
	why.ahead_others = 4;
	why.wait_ns = 1000000;
	why.limits = limits;
	why.n_limits = 4;
	reply->body_case = NPUD__REPLY__BODY_WHY;
	reply->why = &why;
	fake_reply(daemon, reply);
}

static void expect_why(const struct npu_why *why, uint64_t session, uint64_t submission)
{
	ck_assert_uint_eq(why->session, session);
	ck_assert_uint_eq(why->submission, submission);
	ck_assert_int_eq(why->state, NPU_WHY_QUEUED);
	ck_assert_int_eq(why->class_of, NPU_CLASS_NORMAL);
	ck_assert_uint_eq(why->position, 6);
	ck_assert_uint_eq(why->ahead[NPU_CLASS_HIGH], 5);
	ck_assert_uint_eq(why->ahead[NPU_CLASS_NORMAL], 1);
	ck_assert_uint_eq(why->ahead_own, 2);
	ck_assert_uint_eq(why->ahead_others, 4);
	ck_assert_uint_eq(why->wait_ns, 1000000);
	/* what this library does not know is left out */
	ck_assert_uint_eq(why->limits, 1u << NPU_LIMIT_ORDER | 1u << NPU_LIMIT_DEVICE_OFFLINE);
}

START_TEST(a_ticket_is_asked_about_by_the_daemons_name)
{
	struct npu_why why;

	begin_with(2, answer_why);
	begin_with_graph();
	struct npu_job *job = make_job();
	uint64_t first = submit(job, 1), second = submit(job, 2);
	ck_assert_msg(npu_why(npu, second, &why) == 0, "%s", npu_error());
	expect_why(&why, 4, 2);
	ck_assert_int_eq(npu_why(npu, first, &why), 0);
	expect_why(&why, 4, 1);
	ck_assert_int_eq(npu_why(npu, 12345, &why), -ENOENT);
	ck_assert_int_eq(npu_why_session(npu, 17, 3, &why), 0);
	expect_why(&why, 17, 3);
	ck_assert_int_eq(npu_why_session(npu, 9, 3, &why), -ENOENT);
	ck_assert_int_eq(npu_why_session(npu, 0, 3, &why), -ENOENT);
	finish();
}
END_TEST

START_TEST(what_is_over_is_known_without_asking)
{
	struct npu_why why;

	begin_with(2, NULL); /* it would hang up */
	atomic_store(&fake.mood, FAKE_COMPLETES);
	begin_with_graph();
	uint64_t ticket = submit(make_job(), 1);
	settle();
	ck_assert_msg(npu_why(npu, ticket, &why) == 0, "%s", npu_error());
	ck_assert_int_eq(why.state, NPU_WHY_ENDED);
	ck_assert_int_eq(why.outcome, NPU_DONE);
	ck_assert_int_eq(npu_wait(npu, ticket, 0, NULL), 0);
	ck_assert_int_eq(npu_why(npu, ticket, &why), -ENOENT);
	finish();
}
END_TEST

/* ------------------------------------------------------------------ the past */

static void reply_entries(struct fake *daemon, Npud__Reply *reply, uint64_t first, uint32_t count, uint64_t next,
			  uint64_t end)
{
	static char tenant[] = "video";
	Npud__TimelineEntry entries[NPUD_MAX_TIMELINE_PER_FRAME + 1], *list[NPUD_MAX_TIMELINE_PER_FRAME + 1];
	Npud__Timeline timeline = NPUD__TIMELINE__INIT;

	for (uint32_t i = 0; i < count; i++) {
		npud__timeline_entry__init(&entries[i]);
		entries[i].number = first + i;
		entries[i].tenant = tenant;
		entries[i].class_ = NPUD__QUEUE_CLASS__CLASS_IDLE;
		entries[i].outcome = NPUD__OUTCOME__OUTCOME_DONE;
		entries[i].finished_ns = 1000 * (first + i);
		list[i] = &entries[i];
	}
	timeline.entries = list;
	timeline.n_entries = count;
	timeline.next = next;
	timeline.end = end;
	reply->body_case = NPUD__REPLY__BODY_TIMELINE;
	reply->timeline = &timeline;
	fake_reply(daemon, reply);
}

/* With each page that is read, more has ended than it has. */
static void answer_ever_more(struct fake *daemon, Npud__Reply *reply, const Npud__Request *request)
{
	uint64_t first = request->timeline_query->from ? request->timeline_query->from : 1;

	reply_entries(daemon, reply, first, NPUD_MAX_TIMELINE_PER_FRAME, first + NPUD_MAX_TIMELINE_PER_FRAME,
		      first + ENTRIES);
}

static void answer_too_much(struct fake *daemon, Npud__Reply *reply, const Npud__Request *request)
{
	(void)request;
	reply_entries(daemon, reply, 1, NPUD_MAX_TIMELINE_PER_FRAME + 1, 18, 18);
}

static void answer_the_same(struct fake *daemon, Npud__Reply *reply, const Npud__Request *request)
{
	(void)request;
	reply_entries(daemon, reply, 1, 2, 3, 10);
}

static void answer_beyond_the_end(struct fake *daemon, Npud__Reply *reply, const Npud__Request *request)
{
	(void)request;
	reply_entries(daemon, reply, 1, 2, 3, 2);
}

static void answer_without_end(struct fake *daemon, Npud__Reply *reply, const Npud__Request *request)
{
	uint64_t from = request->timeline_query->from;

	reply_entries(daemon, reply, 0, 0, from + 1, UINT64_MAX);
}

START_TEST(pages_become_one_past_that_ends_where_it_ended)
{
	struct npu_timeline *timeline = NULL;
	struct npu_timeline_entry entry;

	begin_with(2, answer_ever_more);
	begin();
	ck_assert_msg(npu_timeline_read(npu, 0, &timeline) == 0, "%s", npu_error());
	size_t count = npu_timeline_count(timeline);
	ck_assert_uint_ge(count, ENTRIES);
	ck_assert_uint_lt(count, ENTRIES + NPUD_MAX_TIMELINE_PER_FRAME);
	for (size_t i = 0; i < count; i++) {
		ck_assert_int_eq(npu_timeline_entry(timeline, i, &entry), 0);
		ck_assert_uint_eq(entry.number, i + 1);
		ck_assert_uint_eq(entry.finished_ns, 1000 * (i + 1));
		ck_assert_str_eq(entry.tenant, "video");
		ck_assert_int_eq(entry.class_of, NPU_CLASS_IDLE);
		ck_assert_int_eq(entry.outcome, NPU_DONE);
	}
	ck_assert_int_eq(npu_timeline_entry(timeline, count, &entry), -ENOENT);
	uint64_t next = npu_timeline_next(timeline);
	ck_assert_uint_eq(next, count + 1);
	npu_timeline_free(timeline);
	ck_assert_int_eq(npu_timeline_read(npu, next, &timeline), 0);
	ck_assert_int_eq(npu_timeline_entry(timeline, 0, &entry), 0);
	ck_assert_uint_eq(entry.number, next);
	npu_timeline_free(timeline);
	npu_timeline_free(NULL);
	finish();
}
END_TEST

START_TEST(a_daemon_that_tells_the_past_out_of_order_is_not_followed)
{
	static const answer_fn wrong[] = {answer_too_much, answer_the_same, answer_beyond_the_end, answer_without_end};
	struct npu_timeline *timeline = NULL;

	begin_with(2, wrong[_i]);
	begin();
	ck_assert_int_eq(npu_timeline_read(npu, 0, &timeline), -EPROTO);
	ck_assert_ptr_null(timeline);
	ck_assert_int_eq(npu_ping(npu), 0);
	finish();
}
END_TEST

START_TEST(an_older_daemon_is_not_asked)
{
	struct npu_timeline *timeline = NULL;
	struct npu_ps *ps = NULL;
	struct npu_why why;

	begin_with(1, NULL); /* it would hang up */
	begin();
	ck_assert_int_eq(npu_ps_read(npu, &ps), -ENOTSUP);
	ck_assert_int_eq(npu_why(npu, 1, &why), -ENOTSUP);
	ck_assert_int_eq(npu_why_session(npu, 1, 1, &why), -ENOTSUP);
	ck_assert_int_eq(npu_timeline_read(npu, 0, &timeline), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(npu_error(), "protocol 1.1"));
	ck_assert_int_eq(npu_ping(npu), 0);
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("visible");
	TCase *tests = tcase_create("visible");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, pages_become_one_table_of_sessions);
	tcase_add_loop_test(tests, a_daemon_that_tells_sessions_out_of_order_is_not_followed, 0, 2);
	tcase_add_test(tests, a_ticket_is_asked_about_by_the_daemons_name);
	tcase_add_test(tests, what_is_over_is_known_without_asking);
	tcase_add_test(tests, pages_become_one_past_that_ends_where_it_ended);
	tcase_add_loop_test(tests, a_daemon_that_tells_the_past_out_of_order_is_not_followed, 0, 4);
	tcase_add_test(tests, an_older_daemon_is_not_asked);
	suite_add_tcase(suite, tests);
	return suite_main(suite);
}
