/* SPDX-License-Identifier: Apache-2.0 */
/* Requests over the wire: jobs from their bytes to their completion, handles, totals, a device that is gone. */
#include "daemon/util/alloc_count.h"
#include "tests/unit/daemon/wire_bench.h"

static uint64_t import(struct bench *bench, int fd)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__BufferImport body = NPUD__BUFFER_IMPORT__INIT;
	int memory = make_memory(8192, F_SEAL_SHRINK);

	body.bytes = 8192;
	request.body_case = NPUD__REQUEST__BODY_BUFFER_IMPORT;
	request.buffer_import = &body;
	Npud__ServerFrame *frame = ask(bench, fd, &request, &memory, 1);
	close(memory);
	ck_assert_ptr_null(frame->reply->error);
	ck_assert_uint_eq(frame->reply->serial, bench->serial);
	uint64_t handle = frame->reply->buffer_info->handle;
	ck_assert_uint_ge(frame->reply->buffer_info->npu_address, NPU_CLIENT_OFFSET);
	drop(frame);
	return handle;
}

static Npud__ErrorCode begin(struct bench *bench, int fd, uint64_t *job)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__JobBegin body = NPUD__JOB_BEGIN__INIT;
	Npud__JobV3 v3 = NPUD__JOB_V3__INIT;

	v3.group_count = 1;
	v3.bss_count = 1;
	body.generation_case = NPUD__JOB_BEGIN__GENERATION_V3;
	body.v3 = &v3;
	request.body_case = NPUD__REQUEST__BODY_JOB_BEGIN;
	request.job_begin = &body;
	Npud__ServerFrame *frame = ask(bench, fd, &request, NULL, 0);
	if (!frame->reply->error)
		*job = frame->reply->job_info->job;
	return error_of(frame);
}

static Npud__ErrorCode groups(struct bench *bench, int fd, uint64_t job, uint64_t buffer)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__JobGroups body = NPUD__JOB_GROUPS__INIT;
	Npud__Group group = NPUD__GROUP__INIT;
	Npud__BufferRef ref = NPUD__BUFFER_REF__INIT;
	Npud__Group *pointer = &group;

	ref.handle = buffer;
	group.text = &ref;
	body.job = job;
	body.n_groups = 1;
	body.groups = &pointer;
	body.n_uses = 1;
	body.uses = &buffer;
	request.body_case = NPUD__REQUEST__BODY_JOB_GROUPS;
	request.job_groups = &body;
	return error_of(ask(bench, fd, &request, NULL, 0));
}

static Npud__ErrorCode commit(struct bench *bench, int fd, uint64_t job)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__JobCommit body = NPUD__JOB_COMMIT__INIT;

	body.job = job;
	request.body_case = NPUD__REQUEST__BODY_JOB_COMMIT;
	request.job_commit = &body;
	return error_of(ask(bench, fd, &request, NULL, 0));
}

static Npud__ErrorCode submit_wire(struct bench *bench, int fd, uint64_t job, uint64_t cookie)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__JobSubmit body = NPUD__JOB_SUBMIT__INIT;

	body.job = job;
	body.cookie = cookie;
	request.body_case = NPUD__REQUEST__BODY_JOB_SUBMIT;
	request.job_submit = &body;
	return error_of(ask(bench, fd, &request, NULL, 0));
}

static uint64_t job_of(struct bench *bench, int fd)
{
	uint64_t job = 0;

	ck_assert_int_eq(begin(bench, fd, &job), 0);
	ck_assert_int_eq(groups(bench, fd, job, import(bench, fd)), 0);
	ck_assert_int_eq(commit(bench, fd, job), 0);
	return job;
}

static const struct job *running(struct bench *bench)
{
	return list_entry(list_first(&bench->world.device->in_flight), struct submission, link)->job;
}

START_TEST(a_job_travels_from_bytes_to_its_completion_event)
{
	struct bench bench;
	bench_open(&bench);
	int fd = client(&bench);
	uint64_t job = job_of(&bench, fd);

	ck_assert_int_eq(submit_wire(&bench, fd, job, 77), 0);
	ck_assert_ptr_null(receive(fd));
	complete(&bench.world, running(&bench));
	turn(&bench);
	Npud__ServerFrame *frame = receive(fd);
	ck_assert_ptr_nonnull(frame);
	ck_assert_int_eq(frame->body_case, NPUD__SERVER_FRAME__BODY_EVENT);
	ck_assert_int_eq(frame->event->body_case, NPUD__EVENT__BODY_JOB_DONE);
	ck_assert_int_eq(frame->event->job_done->outcome, NPUD__OUTCOME__OUTCOME_DONE);
	ck_assert_uint_eq(frame->event->job_done->cookie, 77);
	ck_assert_uint_eq(frame->event->job_done->job, job);
	ck_assert_str_eq(frame->event->job_done->message, "");
	drop(frame);
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(errors_leave_the_connection_open)
{
	struct bench bench;
	bench_open(&bench);
	int fd = client(&bench);
	uint64_t job = 0;

	ck_assert_int_eq(groups(&bench, fd, 12345, 1), NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
	ck_assert_int_eq(commit(&bench, fd, 1), NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
	ck_assert_int_eq(submit_wire(&bench, fd, 1, 0), NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
	ck_assert_int_eq(begin(&bench, fd, &job), 0);
	ck_assert_int_eq(groups(&bench, fd, job, 99), NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
	ck_assert_int_eq(commit(&bench, fd, job), NPUD__ERROR_CODE__ERROR_INVALID);
	ck_assert_int_eq(ping(&bench, fd), 0);
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(another_connections_handles_find_nothing)
{
	struct bench bench;
	bench_open(&bench);
	int a = client(&bench);
	int b = client(&bench);
	uint64_t job = job_of(&bench, a);

	ck_assert_int_eq(submit_wire(&bench, b, job, 0), NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
	ck_assert_int_eq(submit_wire(&bench, a, job, 0), 0);
	close(a);
	close(b);
	bench_close(&bench);
}
END_TEST

static unsigned read_dones(int fd)
{
	unsigned count = 0;
	Npud__ServerFrame *frame;

	while ((frame = receive(fd)) != NULL) {
		count += frame->body_case == NPUD__SERVER_FRAME__BODY_EVENT;
		drop(frame);
	}
	return count;
}

START_TEST(nothing_is_allocated_between_submit_and_completion)
{
	struct bench bench;
	bench_open(&bench);
	int fd = client(&bench);
	uint64_t job = job_of(&bench, fd);
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__JobSubmit body = NPUD__JOB_SUBMIT__INIT;
	uint8_t data[64];

	body.job = job;
	request.serial = 1;
	request.body_case = NPUD__REQUEST__BODY_JOB_SUBMIT;
	request.job_submit = &body;
	size_t bytes = npud__request__pack(&request, data);
	/* the first run maps, and lets the loop grow to its size */
	for (int i = 0; i < 3; i++) {
		send_bytes(fd, data, bytes, NULL, 0);
		turn(&bench);
		complete(&bench.world, running(&bench));
		turn(&bench);
	}
	ck_assert_uint_eq(read_dones(fd), 3);
	uint64_t before = alloc_count();
	for (int i = 0; i < 20; i++) {
		/* without libcheck's assertions, which allocate */
		send_bytes(fd, data, bytes, NULL, 0);
		turn(&bench);
		bench.world.fake->events[0] =
		    (struct npu_event){.kind = NPU_EVENT_DONE, .tcb_pointer = job_last_tcb(running(&bench)).v};
		bench.world.fake->event_count = 1;
		device_irq(bench.world.device);
		turn(&bench);
	}
	uint64_t after = alloc_count();
	ck_assert_uint_eq(after, before);
	ck_assert_uint_eq(read_dones(fd), 20);
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(totals_are_exact_and_a_gone_device_is_announced)
{
	struct bench bench;
	bench_open(&bench);
	int fd = client(&bench);
	uint64_t job = job_of(&bench, fd);
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__StatsQuery body = NPUD__STATS_QUERY__INIT;

	ck_assert_int_eq(submit_wire(&bench, fd, job, 0), 0);
	request.body_case = NPUD__REQUEST__BODY_STATS_QUERY;
	request.stats_query = &body;
	Npud__ServerFrame *frame = ask(&bench, fd, &request, NULL, 0);
	ck_assert_ptr_null(frame->reply->error);
	const Npud__Stats *stats = frame->reply->stats;
	ck_assert_uint_eq(stats->sessions, 1);
	ck_assert_uint_eq(stats->buffers, 1);
	ck_assert_uint_eq(stats->buffer_bytes, 8192);
	ck_assert_uint_eq(stats->jobs, 1);
	ck_assert_uint_eq(stats->submissions, 1);
	ck_assert_uint_eq(stats->mappings, 2);
	ck_assert_uint_eq(stats->tenures, 1);
	ck_assert_uint_eq(stats->arena_bytes, 4096);
	ck_assert_uint_eq(stats->open_fds, count_open_fds() - 3);
	drop(frame);
	bench.world.fake->gone = true;
	device_life(bench.world.device);
	turn(&bench);
	frame = receive(fd);
	ck_assert_int_eq(frame->event->job_done->outcome, NPUD__OUTCOME__OUTCOME_DEVICE_GONE);
	ck_assert_uint_gt(strlen(frame->event->job_done->message), 0);
	drop(frame);
	frame = receive(fd);
	ck_assert_int_eq(frame->event->body_case, NPUD__EVENT__BODY_DEVICE_STATE);
	ck_assert_int_eq(frame->event->device_state->status, NPUD__DEVICE_STATUS__DEVICE_OFFLINE);
	drop(frame);
	ck_assert_int_eq(submit_wire(&bench, fd, job, 0), NPUD__ERROR_CODE__ERROR_DEVICE_GONE);
	close(fd);
	bench_close(&bench);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire jobs");
	TCase *tcase = tcase_create("wire jobs");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_job_travels_from_bytes_to_its_completion_event);
	tcase_add_test(tcase, errors_leave_the_connection_open);
	tcase_add_test(tcase, another_connections_handles_find_nothing);
	tcase_add_test(tcase, nothing_is_allocated_between_submit_and_completion);
	tcase_add_test(tcase, totals_are_exact_and_a_gone_device_is_announced);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
