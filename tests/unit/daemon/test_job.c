/* SPDX-License-Identifier: Apache-2.0 */
/* Building jobs: every reference is checked once, nothing is left behind by a job that fails. */
#include "tests/unit/daemon/world.h"

struct setup {
	struct world world;
	struct session *session;
	struct buffer *writable;
	struct buffer *read_only;
	struct job *job;
	struct job_group group;
};

static void setup_open(struct setup *setup, uint32_t groups, uint32_t bss)
{
	struct job_v3 description = {.group_count = groups, .bss_count = bss};

	world_open(&setup->world);
	setup->session = world_session(&setup->world);
	setup->writable = make_buffer(setup->session, 16384, false);
	setup->read_only = make_buffer(setup->session, 8192, true);
	ck_assert_int_eq(job_begin_v3(setup->session, &description, &setup->job, NULL), 0);
	setup->group = simple_group(setup->writable);
}

static void refused(struct setup *setup, int error, const char *word)
{
	struct fail fail = {.text = ""};
	int result = job_add_group(setup->job, &setup->group, &fail);

	ck_assert_msg(result == error, "%d: %s", result, fail.text);
	ck_assert_msg(strstr(fail.text, word) != NULL, "%s does not name %s", fail.text, word);
	setup->group = simple_group(setup->writable);
}

START_TEST(every_reference_is_checked_and_the_error_names_it)
{
	struct setup s;
	setup_open(&s, 1, 1);
	uint64_t writable = s.writable->handle;
	uint64_t read_only = s.read_only->handle;

	s.group.text.present = false;
	refused(&s, -EINVAL, "text");
	s.group.text.offset = 8;
	refused(&s, -EINVAL, "text");
	s.group.text.offset = 16384;
	refused(&s, -EINVAL, "text");
	s.group.text.offset = UINT64_MAX & ~15ull;
	refused(&s, -EINVAL, "text");
	s.group.text.handle += 1ull << 32;
	refused(&s, -ENOENT, "text");
	s.group.parameters.handle ^= 1ull << 50;
	refused(&s, -ENOENT, "parameters");
	s.group.stack = (struct job_ref){true, read_only, 0};
	refused(&s, -EPERM, "stack");
	s.group.stack = (struct job_ref){true, writable, 0};
	s.group.stack_stride = 8192; /* four TECs do not fit */
	refused(&s, -EINVAL, "stack");
	s.group.stack = (struct job_ref){true, writable, 0};
	s.group.stack_stride = UINT32_MAX;
	refused(&s, -EINVAL, "stack");
	s.group.private_data = (struct job_ref){true, read_only, 0};
	refused(&s, -EPERM, "private_data");
	s.group.profiler = (struct job_ref){true, writable, 16000};
	s.group.profiler_offset = 400;
	refused(&s, -EINVAL, "profiler");
	s.group.dependency = 3;
	refused(&s, -ENOTSUP, "dependency");
	s.group.dependency = 77;
	refused(&s, -EINVAL, "dependency");
	s.group.precursors = 1;
	refused(&s, -ENOTSUP, "dependency");
	s.group.bss = 1;
	refused(&s, -EINVAL, "bss");
	/* text and constants may be write-protected, and the good one is still accepted */
	s.group.text.handle = read_only;
	s.group.constants = (struct job_ref){true, read_only, 0};
	ck_assert_int_eq(job_add_group(s.job, &s.group, NULL), 0);
	s.group = simple_group(s.writable);
	refused(&s, -EINVAL, "announced");
	ck_assert_int_eq(job_commit(s.job, NULL), 0);
	world_close(&s.world);
}
END_TEST

START_TEST(a_chain_points_where_the_client_said)
{
	struct setup s;
	setup_open(&s, 2, 2);
	s.group.stack = (struct job_ref){true, s.writable->handle, 4096};
	s.group.stack_stride = 1024;
	ck_assert_int_eq(job_add_group(s.job, &s.group, NULL), 0);
	s.group.bss = 1;
	s.group.print = true;
	ck_assert_int_eq(job_add_group(s.job, &s.group, NULL), 0);
	ck_assert_int_eq(job_commit(s.job, NULL), 0);
	uint32_t base = (uint32_t)(s.writable->map.iova.v - s.session->space->base.v);
	/* two of: init, two segment MMU TCBs for three cores, four tasks */
	ck_assert_uint_eq(s.job->tcbs, 14);
	const struct zy3_task_tcb *task = &s.job->pristine[3 + 2].task;
	ck_assert_uint_eq(task->spc, base);
	ck_assert_uint_eq(task->pp, base + 1024);
	ck_assert_uint_eq(task->sp, base + 4096 + 2 * 1024);
	ck_assert_uint_eq(task->pprint, 0);
	uint32_t print = s.job->pristine[13].task.pprint;
	ck_assert_uint_eq(print, ARENA_OFFSET + s.job->print_offset + 3 * 1024);
	ck_assert_uint_eq(s.job->pristine[0].init.asid[0].hi, s.session->space->slot);
	ck_assert_uint_eq(job_last_tcb(s.job).v, s.job->pristine[13].task.tcbp);
	world_close(&s.world);
}
END_TEST

START_TEST(counts_are_bounded)
{
	static const struct {
		uint32_t groups;
		uint32_t bss;
	} bad[] = {{0, 1}, {1, 0}, {1, 2}, {NPUD_MAX_GROUPS_PER_JOB + 1, 1}, {100, NPUD_MAX_BSS_PER_JOB + 1}};
	struct setup s;
	setup_open(&s, 1, 1);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct job_v3 description = {.group_count = bad[i].groups, .bss_count = bad[i].bss};
		struct job *job;
		ck_assert_int_eq(job_begin_v3(s.session, &description, &job, NULL), -EINVAL);
	}
	world_close(&s.world);
}
END_TEST

START_TEST(an_unfinished_job_cannot_run_and_can_be_destroyed)
{
	struct setup s;
	setup_open(&s, 2, 2);
	uint64_t ignored;

	ck_assert_int_eq(try_submit(s.session, s.job, 0, &ignored, NULL), -EINVAL);
	ck_assert_int_eq(job_commit(s.job, NULL), -EINVAL);
	ck_assert_int_eq(job_add_group(s.job, &s.group, NULL), 0);
	ck_assert_int_eq(job_add_group(s.job, &s.group, NULL), 0);
	/* bss 1 was announced and is not used */
	ck_assert_int_eq(job_commit(s.job, NULL), -EINVAL);
	uint64_t handle = s.job->handle;
	ck_assert_int_eq(job_destroy(s.job, NULL), 0);
	ck_assert_int_eq(job_find(s.session, handle, &s.job, NULL), -ENOENT);
	ck_assert_uint_eq(s.session->quota.used[QUOTA_JOB_BYTES], 0);
	world_close(&s.world);
}
END_TEST

START_TEST(a_job_with_submissions_cannot_be_destroyed)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	struct fail fail;

	run(&world, session, job);
	ck_assert_int_eq(job_destroy(job, &fail), -EBUSY);
	complete(&world, job);
	ck_assert_int_eq(job_destroy(job, NULL), 0);
	world_close(&world);
}
END_TEST

START_TEST(the_arena_runs_out_by_name_and_is_returned)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct buffer *buffer = make_buffer(session, 8192, false);
	struct job *jobs[8];
	int made = 0;
	struct fail fail = {.text = ""};

	/* 8192 groups of 4 tasks are 4 MiB of TCBs: three fit beside page 0 */
	for (; made < 8; made++) {
		struct job_v3 description = {.group_count = NPUD_MAX_GROUPS_PER_JOB, .bss_count = 1};
		struct job_group group = simple_group(buffer);
		ck_assert_int_eq(job_begin_v3(session, &description, &jobs[made], NULL), 0);
		for (uint32_t i = 0; i < NPUD_MAX_GROUPS_PER_JOB; i++)
			ck_assert_int_eq(job_add_group(jobs[made], &group, NULL), 0);
		if (job_commit(jobs[made], &fail) < 0)
			break;
	}
	ck_assert_int_eq(made, 3);
	ck_assert_str_eq(fail.limit, "tcb_arena");
	ck_assert_int_eq(job_destroy(jobs[3], NULL), 0);
	ck_assert_int_eq(job_destroy(jobs[1], NULL), 0);
	(void)make_job_of(session, buffer, NPUD_MAX_GROUPS_PER_JOB, false);
	world_close(&world);
}
END_TEST

START_TEST(gm_regions_are_checked)
{
	struct setup s;
	setup_open(&s, 1, 1);
	struct job_v3 good = {.group_count = 1, .bss_count = 1, .has_gm = true};
	good.gm.buffer = (struct job_ref){true, s.writable->handle, 4096};
	good.gm.bytes = 8192;
	good.gm.preload = true;
	good.gm.preload_bytes = 8192;
	struct job *job;

	ck_assert_int_eq(job_begin_v3(s.session, &good, &job, NULL), 0);
	ck_assert_uint_eq(job->gm.address.v, s.writable->map.iova.v + 4096);
	struct job_v3 bad = good;
	bad.gm.bytes = 5u << 20;
	ck_assert_int_eq(job_begin_v3(s.session, &bad, &job, NULL), -EINVAL);
	bad = good;
	bad.gm.bytes = 16384;
	ck_assert_int_eq(job_begin_v3(s.session, &bad, &job, NULL), -EINVAL);
	bad = good;
	bad.gm.preload_offset = UINT64_MAX;
	ck_assert_int_eq(job_begin_v3(s.session, &bad, &job, NULL), -EINVAL);
	bad = good;
	bad.gm.buffer.handle = s.read_only->handle;
	ck_assert_int_eq(job_begin_v3(s.session, &bad, &job, NULL), -EINVAL);
	world_close(&s.world);
}
END_TEST

START_TEST(a_buffer_handle_that_is_used_again_is_another_buffer)
{
	struct setup s;
	setup_open(&s, 2, 1);
	ck_assert_int_eq(job_add_group(s.job, &s.group, NULL), 0);
	struct buffer *old = s.writable;
	buffer_release_handle(s.session, old->handle, NULL);
	world_work(&s.world);
	refused(&s, -ENOENT, "text");
	struct buffer *fresh = make_buffer(s.session, 16384, false);
	s.group = simple_group(fresh);
	ck_assert_int_eq(job_add_group(s.job, &s.group, NULL), 0);
	ck_assert_uint_eq(s.job->buffer_count, 2);
	ck_assert_int_eq(job_commit(s.job, NULL), 0);
	uint64_t ignored;
	ck_assert_int_eq(try_submit(s.session, s.job, 0, &ignored, NULL), -ENOENT);
	world_close(&s.world);
}
END_TEST

START_TEST(a_refused_frame_leaves_the_job_as_it_was)
{
	struct setup s;
	setup_open(&s, 2, 1);
	struct buffer *extra = make_buffer(s.session, 8192, false);

	s.group.print = true;
	ck_assert_int_eq(job_add_group(s.job, &s.group, NULL), 0);
	struct job_mark before = job_mark(s.job);
	s.group = simple_group(extra);
	s.group.print = true;
	ck_assert_int_eq(job_add_group(s.job, &s.group, NULL), 0);
	ck_assert_uint_eq(extra->jobs, 1);
	job_rollback(s.job, before);
	ck_assert_uint_eq(extra->jobs, 0);
	ck_assert_int_eq(job_commit(s.job, NULL), -EINVAL);
	/* the same buffer again is a use again */
	ck_assert_int_eq(job_add_group(s.job, &s.group, NULL), 0);
	ck_assert_uint_eq(extra->jobs, 1);
	ck_assert_int_eq(job_commit(s.job, NULL), 0);
	ck_assert_uint_eq(s.job->print_groups, 2);
	ck_assert_uint_eq(s.job->pristine[s.job->tcbs - 1].task.pprint,
			  ARENA_OFFSET + s.job->print_offset + 4096 + 3 * 1024);
	world_close(&s.world);
}
END_TEST

START_TEST(a_committed_job_takes_nothing_more)
{
	struct setup s;
	setup_open(&s, 1, 1);
	struct job_ref use = {true, s.writable->handle, 0};

	ck_assert_int_eq(job_add_group(s.job, &s.group, NULL), 0);
	ck_assert_int_eq(job_commit(s.job, NULL), 0);
	refused(&s, -EINVAL, "committed");
	ck_assert_int_eq(job_add_use(s.job, &use, "uses", NULL), -EINVAL);
	ck_assert_int_eq(job_commit(s.job, NULL), -EINVAL);
	uint64_t submission = run(&s.world, s.session, s.job);
	complete(&s.world, s.job);
	expect(s.session, submission, OUT_DONE);
	world_close(&s.world);
}
END_TEST

START_TEST(a_commit_that_fails_can_be_repeated)
{
	struct world world;
	struct host_options options = world_options();
	options.tenants.fallback.maximum[QUOTA_TCB_BYTES] = 3 * 4096;
	world_open_with(&world, &options);
	struct session *session = world_session(&world);
	struct buffer *buffer = make_buffer(session, 8192, false);
	struct job *first = make_job_of(session, buffer, 1, true);
	struct job_v3 description = {.group_count = 1, .bss_count = 1};
	struct job_group group = simple_group(buffer);
	struct job *job;
	struct fail fail;

	group.print = true;
	ck_assert_int_eq(job_begin_v3(session, &description, &job, NULL), 0);
	ck_assert_int_eq(job_add_group(job, &group, NULL), 0);
	ck_assert_int_eq(job_commit(job, &fail), -EDQUOT);
	ck_assert_str_eq(fail.limit, "tcb_bytes");
	ck_assert_int_eq(job_destroy(first, NULL), 0);
	ck_assert_int_eq(job_commit(job, NULL), 0);
	ck_assert_uint_eq(job->pristine[job->tcbs - 1].task.pprint, ARENA_OFFSET + job->print_offset + 3 * 1024);
	world_close(&world);
}
END_TEST

/* Not a quota: so many handles has the protocol. */
START_TEST(the_table_of_a_session_is_full_by_name)
{
	struct job_v3 description = {.group_count = 1, .bss_count = 1};
	struct world world;
	struct fail fail;
	struct job *job = NULL, *last = NULL;

	world_open(&world);
	struct session *session = world_session(&world);
	for (unsigned i = 0; i < NPUD_MAX_JOBS_PER_SESSION; i++)
		ck_assert_int_eq(job_begin_v3(session, &description, &last, NULL), 0);
	ck_assert_int_eq(job_begin_v3(session, &description, &job, &fail), -EDQUOT);
	ck_assert_str_eq(fail.limit, "jobs");
	ck_assert_str_eq(fail.owner, "session");
	ck_assert_uint_eq(fail.used, NPUD_MAX_JOBS_PER_SESSION);
	ck_assert_uint_eq(fail.maximum, NPUD_MAX_JOBS_PER_SESSION);
	ck_assert_uint_eq(session->quota.used[QUOTA_JOBS], NPUD_MAX_JOBS_PER_SESSION);
	ck_assert_int_eq(job_destroy(last, NULL), 0);
	ck_assert_int_eq(job_begin_v3(session, &description, &job, NULL), 0);
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("job");
	TCase *tcase = tcase_create("job");

	tcase_add_test(tcase, every_reference_is_checked_and_the_error_names_it);
	tcase_add_test(tcase, a_chain_points_where_the_client_said);
	tcase_add_test(tcase, counts_are_bounded);
	tcase_add_test(tcase, an_unfinished_job_cannot_run_and_can_be_destroyed);
	tcase_add_test(tcase, a_job_with_submissions_cannot_be_destroyed);
	tcase_add_test(tcase, the_arena_runs_out_by_name_and_is_returned);
	tcase_add_test(tcase, gm_regions_are_checked);
	tcase_add_test(tcase, a_buffer_handle_that_is_used_again_is_another_buffer);
	tcase_add_test(tcase, a_refused_frame_leaves_the_job_as_it_was);
	tcase_add_test(tcase, a_committed_job_takes_nothing_more);
	tcase_add_test(tcase, a_commit_that_fails_can_be_repeated);
	tcase_add_test(tcase, the_table_of_a_session_is_full_by_name);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
