/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests about sessions, submissions and their past over the wire: what a stranger gets, in which version, and
 * that the fullest page fits its frame.
 */
#include "daemon/core/tenant.h"
#include "daemon/core/timeline.h"
#include "tests/unit/daemon/wire_bench.h"

static Npud__ServerFrame *ask_ps(struct bench *bench, int fd, uint64_t from)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__PsQuery body = NPUD__PS_QUERY__INIT;

	body.from_session = from;
	request.body_case = NPUD__REQUEST__BODY_PS_QUERY;
	request.ps_query = &body;
	return ask(bench, fd, &request, NULL, 0);
}

static Npud__ServerFrame *ask_why(struct bench *bench, int fd, uint64_t session, uint64_t submission)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__WhyQuery body = NPUD__WHY_QUERY__INIT;

	body.session = session;
	body.submission = submission;
	request.body_case = NPUD__REQUEST__BODY_WHY_QUERY;
	request.why_query = &body;
	return ask(bench, fd, &request, NULL, 0);
}

static Npud__ServerFrame *ask_timeline(struct bench *bench, int fd, uint64_t from)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__TimelineQuery body = NPUD__TIMELINE_QUERY__INIT;

	body.from = from;
	request.body_case = NPUD__REQUEST__BODY_TIMELINE_QUERY;
	request.timeline_query = &body;
	return ask(bench, fd, &request, NULL, 0);
}

START_TEST(a_stranger_sees_totals_and_himself)
{
	struct bench bench;

	bench_open(&bench);
	struct session *session = world_session_of(&bench.world, 1234);
	struct job *job = make_job(session);
	run(&bench.world, session, job);
	complete(&bench.world, job);
	uint64_t name = run(&bench.world, session, job);
	int fd = client_of(&bench, 1000, RIGHTS_ALL & ~RIGHT_BIT(RIGHT_SESSIONS));

	Npud__ServerFrame *frame = ask_ps(&bench, fd, 0);
	ck_assert_ptr_null(frame->reply->error);
	const Npud__Ps *ps = frame->reply->ps;
	ck_assert_uint_eq(ps->n_sessions, 1);
	ck_assert_uint_eq(ps->sessions[0]->uid, 1000);
	ck_assert_uint_eq(ps->session_count, 2);
	ck_assert_uint_eq(ps->n_totals, 4);
	ck_assert_int_eq(ps->totals[2]->class_, NPUD__QUEUE_CLASS__CLASS_NORMAL);
	ck_assert_uint_eq(ps->totals[2]->running, 1);
	ck_assert_uint_eq(ps->totals[2]->queued + ps->totals[2]->waiting, 0);
	drop(frame);

	char texts[2][NPUD_MAX_ERROR_TEXT];
	for (unsigned i = 0; i < 2; i++) {
		frame = ask_why(&bench, fd, session->id + i * 100ul, name);
		ck_assert_ptr_nonnull(frame->reply->error);
		ck_assert_int_eq(frame->reply->error->code, NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
		(void)snprintf(texts[i], sizeof(texts[i]), "%s", strchr(frame->reply->error->message, 'h'));
		drop(frame);
	}
	ck_assert_str_eq(texts[0], texts[1]); /* but for the number that he asked about */

	frame = ask_timeline(&bench, fd, 0);
	ck_assert_ptr_null(frame->reply->error);
	ck_assert_uint_eq(frame->reply->timeline->n_entries, 0);
	ck_assert_uint_eq(frame->reply->timeline->next, frame->reply->timeline->end);
	drop(frame);
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(the_right_alone_shows_all)
{
	struct bench bench;

	bench_open(&bench);
	struct session *session = world_session_of(&bench.world, 1234);
	session_set_client(session, "faces");
	struct job *job = make_job(session);
	run(&bench.world, session, job);
	complete(&bench.world, job);
	uint64_t name = run(&bench.world, session, job);
	int fd = client_of(&bench, 1000, RIGHT_BIT(RIGHT_SESSIONS));

	Npud__ServerFrame *frame = ask_ps(&bench, fd, 0);
	ck_assert_uint_eq(frame->reply->ps->n_sessions, 2);
	const Npud__PsSession *row = frame->reply->ps->sessions[0];
	ck_assert_uint_eq(row->session, session->id);
	ck_assert_str_eq(row->tenant, "default:1234");
	ck_assert_str_eq(row->client, "faces");
	ck_assert_str_eq(row->device_name, "fake0");
	ck_assert_int_eq(row->state, NPUD__SESSION_STATE__SESSION_OPEN);
	ck_assert(row->attached);
	ck_assert_uint_eq(row->queues, 1);
	ck_assert_uint_eq(row->buffers, 1);
	ck_assert_uint_eq(row->buffer_bytes, 8192);
	ck_assert_uint_eq(row->jobs, 1);
	ck_assert_uint_eq(row->running, 1);
	ck_assert_uint_eq(row->unreported, 1);
	ck_assert_uint_eq(row->completed, 1);
	ck_assert_uint_eq(row->n_submissions, 1);
	ck_assert_uint_eq(row->submissions[0], name);
	drop(frame);

	frame = ask_why(&bench, fd, session->id, name);
	ck_assert_ptr_null(frame->reply->error);
	ck_assert_int_eq(frame->reply->why->state, NPUD__WHY_STATE__WHY_RUNNING);
	ck_assert_uint_eq(frame->reply->why->job, job->handle);
	drop(frame);

	frame = ask_timeline(&bench, fd, 0);
	ck_assert_uint_eq(frame->reply->timeline->n_entries, 1);
	ck_assert_uint_eq(frame->reply->timeline->entries[0]->session, session->id);
	ck_assert_str_eq(frame->reply->timeline->entries[0]->tenant, "default:1234");
	ck_assert_int_eq(frame->reply->timeline->entries[0]->outcome, NPUD__OUTCOME__OUTCOME_DONE);
	drop(frame);
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(what_is_ahead_is_told_by_class_and_of_others_as_a_total)
{
	struct bench bench;

	bench_open(&bench);
	struct session *session = world_session_of(&bench.world, 1234), *other = world_session_of(&bench.world, 99);
	for (unsigned i = 0; i < 3; i++)
		run(&bench.world, session, make_job(session));
	submit(other, make_job(other));
	uint64_t name = submit(session, make_job(session));
	int fd = client_of(&bench, 1234, RIGHTS_NONE);
	Npud__ServerFrame *frame = ask_why(&bench, fd, session->id, name);
	const Npud__Why *why = frame->reply->why;
	ck_assert_int_eq(why->state, NPUD__WHY_STATE__WHY_QUEUED);
	ck_assert_int_eq(why->class_, NPUD__QUEUE_CLASS__CLASS_NORMAL);
	ck_assert_uint_eq(why->position, 2);
	ck_assert_uint_eq(why->n_ahead, 4);
	ck_assert_uint_eq(why->ahead[2], 2);
	ck_assert_uint_eq(why->ahead_own, 1);
	ck_assert_uint_eq(why->ahead_others, 1);
	ck_assert_uint_eq(why->in_flight, 2);
	ck_assert_uint_eq(why->n_limits, 2);
	ck_assert_int_eq(why->limits[0], NPUD__WHY_LIMIT__LIMIT_ORDER);
	ck_assert_int_eq(why->limits[1], NPUD__WHY_LIMIT__LIMIT_IN_FLIGHT);
	drop(frame);
	/* his own session, by 0: it has nothing of that name */
	ck_assert_int_eq(error_of(ask_why(&bench, fd, 0, name)), NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
	close(fd);
	session_close(session);
	session_close(other);
	bench_close(&bench);
}
END_TEST

/* As wide as every field can be. */
static void widen(struct session *session)
{
	session->identity.pid = INT32_MAX;
	session->identity.uid = UINT32_MAX;
	session->completed = session->device_ns = UINT64_MAX;
	session->unreported = UINT32_MAX;
	session_set_client(session, "a client with a name of all bytes");
	memset(session->tenant->owner, 'n', sizeof("tenant ") - 1 + NPUD_MAX_TENANT_BYTES);
	memset(session->queue.load.in, 0xff, sizeof(session->queue.load.in));
}

START_TEST(the_fullest_pages_fit_their_frames)
{
	struct session *sessions[NPUD_MAX_PS_SESSIONS_PER_FRAME];
	struct bench bench;

	bench_open(&bench);
	memset(bench.world.device->name, 'n', sizeof(bench.world.device->name) - 1);
	for (unsigned i = 0; i < NPUD_MAX_PS_SESSIONS_PER_FRAME; i++) {
		sessions[i] = world_session_of(&bench.world, 1000 + i);
		struct job *job = make_job(sessions[i]);
		for (unsigned k = 0; k < NPUD_MAX_PS_SUBMISSIONS; k++)
			submit(sessions[i], job);
		widen(sessions[i]);
	}
	sessions[0]->tenant->key |= UINT32_MAX;
	for (unsigned i = 0; i < NPUD_MAX_TIMELINE_PER_FRAME; i++)
		timeline_add(bench.world.host->timeline, &sessions[0]->pool[0], (nsec_t){UINT64_MAX});
	int fd = client_of(&bench, 1, RIGHT_BIT(RIGHT_SESSIONS));
	struct tenant_profile *profile = &bench.world.host->options.tenants.fallback;
	memset(profile->name, 'n', sizeof(profile->name) - 1);
	Npud__ServerFrame *frame = ask_ps(&bench, fd, 0);
	ck_assert_ptr_null(frame->reply->error);
	ck_assert_uint_eq(frame->reply->ps->n_sessions, NPUD_MAX_PS_SESSIONS_PER_FRAME);
	ck_assert_uint_eq(frame->reply->ps->sessions[7]->n_submissions, NPUD_MAX_PS_SUBMISSIONS);
	ck_assert_uint_gt(frame->reply->ps->next_session, 0);
	drop(frame);
	frame = ask_timeline(&bench, fd, 0);
	ck_assert_ptr_null(frame->reply->error);
	ck_assert_uint_eq(frame->reply->timeline->n_entries, NPUD_MAX_TIMELINE_PER_FRAME);
	drop(frame);
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(an_older_client_does_not_know_the_requests)
{
	struct bench bench;

	bench_open(&bench);
	for (unsigned i = 0; i < 3; i++) {
		int fd = admit(&bench, 0, RIGHTS_ALL, &bench.world.host->options.tenants.fallback);
		Npud__Request request = NPUD__REQUEST__INIT;
		Npud__Hello body = NPUD__HELLO__INIT;

		body.major = NPUD_PROTOCOL_MAJOR;
		body.minor = 1;
		request.body_case = NPUD__REQUEST__BODY_HELLO;
		request.hello = &body;
		ck_assert_int_eq(error_of(ask(&bench, fd, &request, NULL, 0)), 0);
		Npud__ServerFrame *frame = i == 0   ? ask_ps(&bench, fd, 0)
					   : i == 1 ? ask_why(&bench, fd, 0, 1)
						    : ask_timeline(&bench, fd, 0);
		ck_assert_int_eq(error_of(frame), NPUD__ERROR_CODE__ERROR_PROTOCOL);
		ck_assert(is_closed(fd));
		close(fd);
	}
	bench_close(&bench);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire_visible");
	TCase *tcase = tcase_create("wire_visible");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_stranger_sees_totals_and_himself);
	tcase_add_test(tcase, the_right_alone_shows_all);
	tcase_add_test(tcase, what_is_ahead_is_told_by_class_and_of_others_as_a_total);
	tcase_add_test(tcase, the_fullest_pages_fit_their_frames);
	tcase_add_test(tcase, an_older_client_does_not_know_the_requests);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
