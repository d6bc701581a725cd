/* SPDX-License-Identifier: Apache-2.0 */
/* Recoveries and quarantine over the wire: counters, refusals, pardons, and what clients of older versions are told. */
#include "daemon/wire/request.h"
#include "tests/unit/daemon/wire_bench.h"

static int operator_in(struct bench *bench, uint32_t minor)
{
	return client_in(bench, RIGHT_BIT(RIGHT_ADMIN), minor);
}

static struct session *last_session(const struct bench *bench)
{
	return list_entry(bench->world.host->sessions.prev, struct session, link);
}

static Npud__ServerFrame *stats_of(struct bench *bench, int fd)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__StatsQuery body = NPUD__STATS_QUERY__INIT;

	request.body_case = NPUD__REQUEST__BODY_STATS_QUERY;
	request.stats_query = &body;
	return ask(bench, fd, &request, NULL, 0);
}

static Npud__ServerFrame *pardon(struct bench *bench, int fd, Npud__Pardon body)
{
	Npud__Request request = NPUD__REQUEST__INIT;

	request.body_case = NPUD__REQUEST__BODY_PARDON;
	request.pardon = &body;
	return ask(bench, fd, &request, NULL, 0);
}

static Npud__Pardon of_session(uint64_t session)
{
	Npud__Pardon body = NPUD__PARDON__INIT;

	body.whom_case = NPUD__PARDON__WHOM_SESSION;
	body.session = session;
	return body;
}

static Npud__Pardon of_tenant(const char *tenant)
{
	Npud__Pardon body = NPUD__PARDON__INIT;

	body.whom_case = NPUD__PARDON__WHOM_TENANT;
	body.tenant = (char *)(uintptr_t)tenant;
	return body;
}

static Npud__ServerFrame *submit_wire(struct bench *bench, int fd, uint64_t job)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__JobSubmit body = NPUD__JOB_SUBMIT__INIT;

	body.job = job;
	request.body_case = NPUD__REQUEST__BODY_JOB_SUBMIT;
	request.job_submit = &body;
	return ask(bench, fd, &request, NULL, 0);
}

static Npud__Outcome next_outcome(int fd)
{
	Npud__ServerFrame *frame = receive(fd);

	ck_assert_ptr_nonnull(frame);
	ck_assert_int_eq(frame->event->body_case, NPUD__EVENT__BODY_JOB_DONE);
	Npud__Outcome outcome = frame->event->job_done->outcome;
	drop(frame);
	return outcome;
}

/* One exception is enough. */
static void be_strict(struct bench *bench)
{
	bench->world.host->options.quarantine = (struct quarantine_rules){
	    .session_threshold = 1, .half_life_ns = 10 * NSEC_PER_SEC, .minimum_ns = 5 * NSEC_PER_SEC};
}

START_TEST(every_rung_that_was_climbed_is_told)
{
	struct bench bench;

	bench_open(&bench);
	int fd = operator_in(&bench, 2), older = operator_in(&bench, 1);
	Npud__ServerFrame *frame = stats_of(&bench, fd);
	ck_assert_uint_eq(frame->reply->stats->n_rungs, 0);
	drop(frame);
	struct session *session = world_session(&bench.world);
	run(&bench.world, session, make_job(session));
	bench.world.fake->failing = FAKE_ABORT;
	pass_time(&bench.world, NSEC_PER_SEC);
	turn(&bench);
	for (int i = 0; i < 2; i++) /* recovering, and ready again */
		while ((frame = receive(i ? older : fd)))
			drop(frame);
	frame = stats_of(&bench, fd);
	const Npud__Stats *stats = frame->reply->stats;
	ck_assert_uint_eq(stats->n_rungs, 2);
	ck_assert_int_eq(stats->rungs[0]->rung, NPUD__RUNG__RUNG_ABORT);
	ck_assert_uint_eq(stats->rungs[0]->attempts, 1);
	ck_assert_uint_eq(stats->rungs[0]->failures, 1);
	ck_assert_int_eq(stats->rungs[1]->rung, NPUD__RUNG__RUNG_SOFT_RESET);
	ck_assert_uint_eq(stats->rungs[1]->failures, 0);
	drop(frame);
	/* who agreed on less is told less */
	frame = stats_of(&bench, older);
	ck_assert_uint_eq(frame->reply->stats->n_rungs, 0);
	drop(frame);
	close(fd);
	close(older);
	bench_close(&bench);
}
END_TEST

/* Attempts take a microsecond at least, and nobody has run for longer than a human lifetime. */
START_TEST(the_fullest_statistics_fit_their_frame)
{
	struct bench bench;

	bench_open(&bench);
	struct host *host = bench.world.host;
	int fd = operator_in(&bench, 2);
	for (unsigned rung = 0; rung < RECOVERY_RUNGS; rung++)
		bench.world.device->recovery.count[rung] =
		    (struct recovery_count){1ull << 49, 1ull << 49, 1ull << 61, 1ull << 61};
	/* as many devices as there can be, each the same */
	for (uint32_t i = 1; i < HOST_MAX_DEVICES; i++)
		host->devices[i] = bench.world.device;
	host->device_count = HOST_MAX_DEVICES;
	Npud__ServerFrame *frame = stats_of(&bench, fd);
	ck_assert_ptr_null(frame->reply->error);
	ck_assert_uint_eq(frame->reply->stats->n_rungs,
			  sizeof(((struct stats_reply *)0)->rungs) / sizeof(Npud__RungStats));
	drop(frame);
	host->device_count = 1;
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(a_quarantine_is_told_in_the_words_that_the_client_knows)
{
	const bool knows = _i == 0;
	struct bench bench;

	bench_open(&bench);
	be_strict(&bench);
	int fd = client_in(&bench, RIGHTS_NONE, knows ? 2 : 1);
	struct session *session = last_session(&bench);
	struct job *bad = make_job(session), *other = make_job(session);
	run(&bench.world, session, bad);
	run(&bench.world, session, other);
	report(&bench.world, NPU_EVENT_EXCEPTION, job_last_tcb(bad).v, 0);
	device_irq(bench.world.device);
	turn(&bench);
	ck_assert_int_eq(next_outcome(fd), NPUD__OUTCOME__OUTCOME_EXCEPTION);
	ck_assert_int_eq(next_outcome(fd),
			 knows ? NPUD__OUTCOME__OUTCOME_QUARANTINED : NPUD__OUTCOME__OUTCOME_CANCELLED);
	Npud__ServerFrame *frame = submit_wire(&bench, fd, bad->handle);
	ck_assert_int_eq(frame->reply->error->code,
			 knows ? NPUD__ERROR_CODE__ERROR_QUARANTINED : NPUD__ERROR_CODE__ERROR_PERMISSION);
	ck_assert_ptr_nonnull(strstr(frame->reply->error->message, "wait 5 s"));
	drop(frame);
	/* the connection goes on */
	ck_assert_int_eq(ping(&bench, fd), 0);
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(an_operator_sees_a_quarantine_and_ends_it)
{
	struct bench bench;

	bench_open(&bench);
	be_strict(&bench);
	int admin = operator_in(&bench, 2), fd = client_in(&bench, RIGHTS_NONE, 2);
	struct session *session = last_session(&bench);
	struct job *bad = make_job(session);
	run(&bench.world, session, bad);
	report(&bench.world, NPU_EVENT_EXCEPTION, job_last_tcb(bad).v, 0);
	device_irq(bench.world.device);
	turn(&bench);
	(void)next_outcome(fd);
	Npud__ServerFrame *frame = stats_of(&bench, admin);
	ck_assert_uint_eq(frame->reply->stats->quarantined, 1);
	drop(frame);
	/* not by itself */
	ck_assert_int_eq(error_of(pardon(&bench, fd, of_session(session->id))), NPUD__ERROR_CODE__ERROR_PERMISSION);
	ck_assert_int_eq(error_of(pardon(&bench, admin, (Npud__Pardon)NPUD__PARDON__INIT)),
			 NPUD__ERROR_CODE__ERROR_INVALID);
	ck_assert_int_eq(error_of(pardon(&bench, admin, of_tenant("nobody"))), NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
	ck_assert_int_eq(error_of(pardon(&bench, admin, _i ? of_tenant("default:1000") : of_session(session->id))), 0);
	ck_assert_int_eq(error_of(submit_wire(&bench, fd, bad->handle)), 0);
	close(admin);
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(an_older_client_does_not_know_pardon)
{
	struct bench bench;

	bench_open(&bench);
	int fd = operator_in(&bench, 1);
	ck_assert_int_eq(error_of(pardon(&bench, fd, of_tenant("default"))), NPUD__ERROR_CODE__ERROR_PROTOCOL);
	close(fd);
	bench_close(&bench);
}
END_TEST

/* Who was promised one device for ever keeps it; nobody has to know an event that is newer than he is. */
START_TEST(only_a_client_that_knows_of_moves_is_moved_and_told)
{
	struct bench bench;
	bool knows = _i == 1;

	bench_open(&bench);
	world_has_other(&bench.world);
	int fd = client_in(&bench, RIGHTS_ALL, knows ? 2 : 1);
	const struct session *session = last_session(&bench);
	ck_assert_ptr_eq(session->device, bench.world.device);
	bench.world.fake->gone = true;
	device_irq(bench.world.device);
	turn(&bench);
	ck_assert_ptr_eq(session->device, knows ? bench.world.other : bench.world.device);
	Npud__ServerFrame *frame = receive(fd);
	ck_assert_ptr_nonnull(frame);
	if (knows) {
		ck_assert_int_eq(frame->event->body_case, NPUD__EVENT__BODY_SESSION_MOVED);
		ck_assert_uint_eq(frame->event->session_moved->device, 1);
		drop(frame);
		frame = receive(fd);
		ck_assert_ptr_nonnull(frame);
	}
	ck_assert_int_eq(frame->event->body_case, NPUD__EVENT__BODY_DEVICE_STATE);
	ck_assert_uint_eq(frame->event->device_state->index, 0);
	drop(frame);
	ck_assert_ptr_null(receive(fd));
	close(fd);
	bench_close(&bench);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire recovery");
	TCase *tcase = tcase_create("wire recovery");

	tcase_add_test(tcase, every_rung_that_was_climbed_is_told);
	tcase_add_test(tcase, the_fullest_statistics_fit_their_frame);
	tcase_add_loop_test(tcase, a_quarantine_is_told_in_the_words_that_the_client_knows, 0, 2);
	tcase_add_loop_test(tcase, an_operator_sees_a_quarantine_and_ends_it, 0, 2);
	tcase_add_test(tcase, an_older_client_does_not_know_pardon);
	tcase_add_loop_test(tcase, only_a_client_that_knows_of_moves_is_moved_and_told, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
