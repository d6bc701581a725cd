/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory runs out once, at every place in turn, on the way of a job from its session to its end: each failure is an
 * error of that call or an outcome of that job, nothing is left over, and submission and recovery need no memory at
 * all.
 */
#include "tests/unit/quiet.h"

#include "tests/unit/daemon/memory_ends.h"
#include "tests/unit/daemon/world.h"

/* ------------------------------------------------------------------ the journey */

struct journey {
	struct world world;
	struct session *session;
	struct buffer *buffer;
	struct job *job;
	unsigned asked[6]; /* for memory, by step */
};

static int open_session(struct journey *journey)
{
	static const struct session_hooks hooks = {world_events_ready};
	const struct session_identity identity = {
	    .uid = 1000, .pid = 1, .profile = &journey->world.host->options.tenants.fallback, .fds = 2};

	return session_open(journey->world.host, &identity, &hooks, &journey->world, &journey->session, NULL);
}

static int import(struct journey *journey)
{
	const struct buffer_request request = {.bytes = 8192};

	memory.armed = false;
	int fd = make_memory(request.bytes, F_SEAL_SHRINK);
	memory.armed = true;
	return try_import(journey->session, fd, &request, &journey->buffer, NULL);
}

static int begin(struct journey *journey)
{
	const struct job_v3 description = {.group_count = 1, .bss_count = 1};

	return job_begin_v3(journey->session, &description, &journey->job, NULL);
}

static int describe(struct journey *journey)
{
	struct job_group group = simple_group(journey->buffer);

	group.print = true;
	return job_add_group(journey->job, &group, NULL);
}

static int commit(struct journey *journey)
{
	return job_commit(journey->job, NULL);
}

/* A hang that only these calls of the device, failing, keep from ending. */
static void hang(struct journey *journey, unsigned failing)
{
	struct world *world = &journey->world;
	uint64_t hung = run(world, journey->session, journey->job);

	world->fake->failing = failing;
	pass_time(world, NSEC_PER_SEC);
	world->fake->failing = 0;
	expect(journey->session, hung, OUT_TIMEOUT);
}

static void run_well(struct journey *journey)
{
	uint64_t fine = run(&journey->world, journey->session, journey->job);

	complete(&journey->world, journey->job);
	expect(journey->session, fine, OUT_DONE);
}

static int run_and_recover(struct journey *journey)
{
	hang(journey, 0);
	hang(journey, FAKE_ABORT);
	hang(journey, FAKE_ABORT | FAKE_RESET);
	run_well(journey);
	return 0;
}

/* 0, or the error of the step that had no memory. */
static int travel(struct journey *journey, unsigned fails_at)
{
	static int (*const steps[])(struct journey * journey) = {open_session, import, begin,
								 describe,     commit, run_and_recover};
	int error = 0;

	memset(journey, 0, sizeof(*journey));
	world_open(&journey->world);
	world_has_source(&journey->world);
	memory.count = 0;
	memory.fails_at = fails_at;
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]) && error == 0; i++) {
		unsigned before = memory.count;
		memory.armed = true;
		error = steps[i](journey);
		memory.armed = false;
		journey->asked[i] = memory.count - before;
	}
	return error;
}

START_TEST(submission_and_recovery_need_no_memory)
{
	struct journey journey;

	ck_assert_int_eq(travel(&journey, 0), 0);
	for (int step = 0; step < 5; step++)
		ck_assert_msg(step == 3 || journey.asked[step] > 0, "step %d asks for no memory", step);
	ck_assert_uint_eq(journey.asked[5], 0);
	world_close(&journey.world);
}
END_TEST

START_TEST(wherever_memory_runs_out_the_call_fails_and_nothing_is_left)
{
	struct journey journey;
	unsigned places = 0;

	for (;;) {
		int error = travel(&journey, places + 1);
		bool met = memory.count > places;
		world_close(&journey.world);
		if (!met)
			break;
		ck_assert_msg(error == -ENOMEM, "place %u: %d", places + 1, error);
		places++;
	}
	ck_assert_uint_ge(places, 10);
}
END_TEST

START_TEST(a_call_that_had_no_memory_works_when_there_is_some_again)
{
	struct journey journey;

	for (unsigned place = 1;; place++) {
		if (travel(&journey, place) == 0) {
			world_close(&journey.world);
			break;
		}
		/* the same session goes on where it stood */
		if (!journey.session)
			ck_assert_int_eq(open_session(&journey), 0);
		if (!journey.buffer)
			ck_assert_int_eq(import(&journey), 0);
		memory.armed = false;
		if (!journey.job) {
			ck_assert_int_eq(begin(&journey), 0);
			ck_assert_int_eq(describe(&journey), 0);
		}
		if (journey.job->groups_added == 0)
			ck_assert_int_eq(describe(&journey), 0);
		ck_assert_int_eq(commit(&journey), 0);
		ck_assert_int_eq(run_and_recover(&journey), 0);
		world_close(&journey.world);
	}
}
END_TEST

/* What the device can address is looked at again: that needs memory, and a window less is no reason to give up. */
START_TEST(a_reopening_without_memory_goes_on)
{
	bool met = true;

	for (unsigned place = 1; met; place++) {
		struct journey journey;
		ck_assert_int_eq(travel(&journey, 0), 0);
		memory = (__typeof__(memory)){.armed = true, .fails_at = place};
		hang(&journey, FAKE_ABORT | FAKE_RESET | FAKE_VFIO_RESET);
		memory.armed = false;
		met = memory.count >= place;
		ck_assert_uint_eq(journey.world.fake->opens, 1);
		run_well(&journey);
		ck_assert_ptr_nonnull(world_session(&journey.world));
		world_close(&journey.world);
	}
}
END_TEST

START_TEST(a_scrub_without_memory_costs_a_reset_and_no_job)
{
	unsigned place = 1;

	for (bool met = true; met; place++) {
		struct host_options options = world_options();
		struct world world;
		options.scrub = SCRUB_GM;
		world_open_with(&world, &options);
		struct session *a = world_session(&world), *b = world_session_of(&world, 1001);
		struct job *one = make_job(a), *two = make_job(b);
		run(&world, a, one);
		complete(&world, one);
		uint64_t submission = submit(b, two);
		memory.count = 0;
		memory.fails_at = place;
		memory.armed = true;
		world_work(&world);
		memory.armed = false;
		met = memory.count >= place;
		ck_assert_uint_eq(world.device->counters.resets, met);
		complete(&world, two);
		expect(b, submission, OUT_DONE);
		world_close(&world);
	}
	ck_assert_uint_gt(place, 2);
}
END_TEST

START_TEST(what_is_printed_without_memory_is_counted_as_dropped)
{
	struct journey journey;

	ck_assert_int_eq(travel(&journey, 0), 0);
	struct session *session = journey.session;
	uint64_t submission = run(&journey.world, session, journey.job);
	memory = (__typeof__(memory)){.armed = true, .fails_at = 1};
	session_push_print(session, submission, 0, 0, "lost", 4);
	session_push_print(session, submission, 0, 0, "kept", 4);
	memory.armed = false;
	ck_assert_uint_eq(session->prints_dropped, 1);
	ck_assert_uint_eq(session->print_count, 1);
	complete(&journey.world, journey.job);
	world_close(&journey.world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("no memory");
	TCase *tcase = tcase_create("no memory");

	tcase_add_test(tcase, submission_and_recovery_need_no_memory);
	tcase_add_test(tcase, wherever_memory_runs_out_the_call_fails_and_nothing_is_left);
	tcase_add_test(tcase, a_call_that_had_no_memory_works_when_there_is_some_again);
	tcase_add_test(tcase, a_reopening_without_memory_goes_on);
	tcase_add_test(tcase, a_scrub_without_memory_costs_a_reset_and_no_job);
	tcase_add_test(tcase, what_is_printed_without_memory_is_counted_as_dropped);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
