/* SPDX-License-Identifier: Apache-2.0 */
/* Malformed frames and impossible requests on a raw socket: an error or a closed connection, and nobody else notices.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/limits.h"
#include "tests/integration/raw.h"

static struct harness *harness;
static struct npu_connection *neighbour;
static struct npu_job *neighbours_job;

static void setup(void)
{
	harness = harness_start(NULL);
	neighbour = harness_connect(harness);
	neighbours_job = job_of(neighbour, program_copy(4, 1));
}

/* After each test: a client that was there before goes on working, and nothing is left. */
static void teardown(void)
{
	input_of(neighbours_job)[0] = 41;
	ASSERT_OUTCOME(run(neighbour, neighbours_job), NPU_DONE);
	ck_assert_uint_eq(output_of(neighbours_job)[0], 42);
	npu_disconnect(neighbour);
	harness_stop(harness);
}

/* The daemon answers ERROR_PROTOCOL, or nothing, and hangs up. */
static void expect_closed(int fd)
{
	for (int i = 0; i < 3; i++) {
		Npud__ServerFrame *frame = raw_receive(fd);

		if (!frame) {
			close(fd);
			return;
		}
		ck_assert_int_eq(frame->body_case, NPUD__SERVER_FRAME__BODY_REPLY);
		ck_assert_ptr_nonnull(frame->reply->error);
		ck_assert_int_eq(frame->reply->error->code, NPUD__ERROR_CODE__ERROR_PROTOCOL);
		ck_assert_str_ne(frame->reply->error->message, "");
		raw_free(frame);
	}
	ck_abort_msg("the connection stays open");
}

/* ------------------------------------------------------------------ frames */

START_TEST(garbage_ends_the_connection)
{
	static const struct {
		const char *bytes;
		size_t count;
	} frames[] = {
	    {"\xff", 1},
	    {"hello, npud", 11},
	    {"\x08\x01", 2}, /* serial, no body */
	    {"\x12\x7f", 2}, /* a Hello that claims 127 bytes */
	    {"\x12\xff\xff\xff\xff\x0f", 6}, /* and one that claims 4 GiB */
	    {"\x12\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12}, /* a length without end */
	    {"\x0f\x00", 2}, /* wire type 7 */
	    {"\xa2\x06\x00", 3}, /* unknown body 100 */
	    {"\x00\x00\x00\x00", 4}, /* field number 0 */
	    {"\x1b\x1b\x1b\x1b", 4}, /* groups, nested */
	};

	for (unsigned greeted = 0; greeted < 2; greeted++) {
		for (unsigned i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
			int fd = greeted ? raw_open(harness) : raw_connect(harness);

			ck_assert_int_eq(raw_send_bytes(fd, frames[i].bytes, frames[i].count, NULL, 0), 0);
			expect_closed(fd);
		}
	}
}
END_TEST

START_TEST(frames_beyond_the_limit_end_the_connection)
{
	static uint8_t frame[2 * NPUD_MAX_FRAME_BYTES];
	static const size_t sizes[] = {NPUD_MAX_FRAME_BYTES + 1, sizeof(frame), 0};

	for (unsigned i = 0; i < 3; i++) {
		int fd = raw_open(harness);

		ck_assert_int_eq(raw_send_bytes(fd, frame, sizes[i], NULL, 0), 0);
		expect_closed(fd);
	}
}
END_TEST

START_TEST(unasked_descriptors_are_closed_with_the_connection)
{
	static const unsigned counts[] = {1, 2, 4, 5, 16};
	Npud__Ping ping = NPUD__PING__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	uint8_t frame[64];
	int fds[16];

	request.body_case = NPUD__REQUEST__BODY_PING;
	request.ping = &ping;
	size_t bytes = npud__request__pack(&request, frame);
	for (unsigned i = 0; i < 16; i++)
		fds[i] = STDIN_FILENO;
	for (unsigned i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		int fd = raw_open(harness);

		ck_assert_int_eq(raw_send_bytes(fd, frame, bytes, fds, counts[i]), 0);
		expect_closed(fd);
	}
}
END_TEST

START_TEST(the_first_request_is_hello_and_only_the_first)
{
	Npud__Ping ping = NPUD__PING__INIT;
	Npud__Hello hello = NPUD__HELLO__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	int fd = raw_connect(harness);
	request.body_case = NPUD__REQUEST__BODY_PING;
	request.ping = &ping;
	ck_assert_int_eq(raw_send(fd, &request, -1), 0);
	expect_closed(fd);
	fd = raw_open(harness);
	hello.major = NPUD_PROTOCOL_MAJOR;
	request.body_case = NPUD__REQUEST__BODY_HELLO;
	request.hello = &hello;
	ck_assert_int_eq(raw_send(fd, &request, -1), 0);
	expect_closed(fd);
}
END_TEST

START_TEST(a_client_that_never_reads_holds_nobody_up)
{
	Npud__Ping ping = NPUD__PING__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	uint8_t frame[64];
	int fd = raw_open(harness), flags = fcntl(fd, F_GETFL);

	request.body_case = NPUD__REQUEST__BODY_PING;
	request.ping = &ping;
	size_t bytes = npud__request__pack(&request, frame);
	ck_assert_int_eq(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
	for (unsigned i = 0; i < 100000; i++)
		if (raw_send_bytes(fd, frame, bytes, NULL, 0))
			break;
	for (unsigned i = 0; i < 10; i++)
		ASSERT_OUTCOME(run(neighbour, neighbours_job), NPU_DONE);
	close(fd);
}
END_TEST

/* ------------------------------------------------------------------ requests */

/* The code of the error reply; the connection has to stay usable. */
static Npud__ErrorCode code_of(int fd, Npud__Request *request, int passed_fd)
{
	Npud__ServerFrame *frame = raw_call(fd, request, passed_fd);
	Npud__ErrorCode code = NPUD__ERROR_CODE__ERROR_UNSPECIFIED;

	if (frame->reply->error) {
		code = frame->reply->error->code;
		ck_assert_str_ne(frame->reply->error->message, "");
		if (code == NPUD__ERROR_CODE__ERROR_LIMIT)
			ck_assert_str_ne(frame->reply->error->limit, "");
	}
	raw_free(frame);
	return code;
}
#define ASSERT_CODE(fd, request, passed, wanted)                                                                       \
	do {                                                                                                           \
		Npud__ErrorCode code_ = code_of(fd, request, passed);                                                  \
		ck_assert_msg(code_ == (wanted), "%s: error %d, not %d", #request, code_, wanted);                     \
	} while (0)

/* A memfd as an import wants it. */
static int memory(size_t bytes, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(fallocate(fd, 0, 0, (off_t)bytes), 0);
	if (seals)
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static Npud__ErrorCode import(int fd, int file, uint64_t offset, uint64_t bytes, uint64_t align, bool read_only)
{
	Npud__BufferImport message = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	message.offset = offset;
	message.bytes = bytes;
	message.align = align;
	message.read_only = read_only;
	request.body_case = NPUD__REQUEST__BODY_BUFFER_IMPORT;
	request.buffer_import = &message;
	return code_of(fd, &request, file);
}

/* What the client may not do with a descriptor and what no descriptor can be used for lie close together. */
static bool is_refusal(Npud__ErrorCode code)
{
	return code == NPUD__ERROR_CODE__ERROR_INVALID || code == NPUD__ERROR_CODE__ERROR_PERMISSION;
}

START_TEST(memory_that_is_not_what_it_should_be_is_refused)
{
	const Npud__ErrorCode invalid = NPUD__ERROR_CODE__ERROR_INVALID;
	int fd = raw_open(harness), good = memory(0x4000, F_SEAL_SHRINK), pipes[2];

	ck_assert_int_eq(import(fd, good, 0, 0x4000, 0, false), 0);
	ck_assert_int_eq(import(fd, good, 0, 0, 0, false), invalid);
	ck_assert_int_eq(import(fd, good, 0, 0x1001, 0, false), invalid);
	ck_assert_int_eq(import(fd, good, 0x800, 0x1000, 0, false), invalid);
	ck_assert_int_eq(import(fd, good, 0, 0x5000, 0, false), invalid);
	ck_assert_int_eq(import(fd, good, 0x4000, 0x1000, 0, false), invalid);
	ck_assert_int_eq(import(fd, good, ~0xfffull, 0x2000, 0, false), invalid);
	ck_assert_int_eq(import(fd, good, 0, ~0xfffull, 0, false), invalid);
	ck_assert_int_eq(import(fd, good, 0, 0x1000, 0x3000, false), invalid);
	ck_assert_int_ne(import(fd, good, 0, 0x1000, 1ull << 63, false), 0);
	int unsealed = memory(0x1000, 0);
	ck_assert(is_refusal(import(fd, unsealed, 0, 0x1000, 0, false)));
	int sealed = memory(0x1000, F_SEAL_SHRINK | F_SEAL_WRITE);
	ck_assert(is_refusal(import(fd, sealed, 0, 0x1000, 0, false)));
	ck_assert_int_eq(import(fd, sealed, 0, 0x1000, 0, true), 0);
	int sparse = memfd_create("sparse", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(ftruncate(sparse, 0x4000), 0);
	ck_assert_int_eq(fcntl(sparse, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	ck_assert(is_refusal(import(fd, sparse, 0, 0x4000, 0, false)));
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", good);
	int read_only = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert(is_refusal(import(fd, read_only, 0, 0x1000, 0, false)));
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), directory = open("/", O_RDONLY | O_CLOEXEC);
	ck_assert(is_refusal(import(fd, file, 0, 0x1000, 0, true)));
	ck_assert(is_refusal(import(fd, directory, 0, 0x1000, 0, true)));
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert(is_refusal(import(fd, pipes[0], 0, 0x1000, 0, true)));
	ck_assert(is_refusal(import(fd, fd, 0, 0x1000, 0, true))); /* the connection itself */
	const int fds[] = {good, unsealed, sealed, sparse, read_only, file, directory, pipes[0], pipes[1], fd};
	for (unsigned i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		close(fds[i]);
}
END_TEST

START_TEST(an_import_without_its_descriptor_ends_the_connection)
{
	Npud__BufferImport message = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	int fd = raw_open(harness), fds[2] = {memory(0x1000, F_SEAL_SHRINK), memory(0x1000, F_SEAL_SHRINK)};
	uint8_t frame[64];

	message.bytes = 0x1000;
	request.body_case = NPUD__REQUEST__BODY_BUFFER_IMPORT;
	request.buffer_import = &message;
	ck_assert_int_eq(raw_send(fd, &request, -1), 0);
	expect_closed(fd);
	fd = raw_open(harness);
	size_t bytes = npud__request__pack(&request, frame);
	ck_assert_int_eq(raw_send_bytes(fd, frame, bytes, fds, 2), 0);
	expect_closed(fd);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* Every request that takes a handle, with handles that never were, and with those of the neighbour. */
START_TEST(foreign_handles_do_not_exist)
{
	static const uint64_t handles[] = {0, 1, 2, 0x100000000, 0x100000001, UINT32_MAX, UINT64_MAX};
	Npud__BufferRelease release = NPUD__BUFFER_RELEASE__INIT;
	Npud__JobCommit commit = NPUD__JOB_COMMIT__INIT;
	Npud__JobDestroy destroy = NPUD__JOB_DESTROY__INIT;
	Npud__JobSubmit submit_message = NPUD__JOB_SUBMIT__INIT;
	Npud__JobGroups groups = NPUD__JOB_GROUPS__INIT;
	Npud__JobCancel cancel = NPUD__JOB_CANCEL__INIT;
	const Npud__ErrorCode none = NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT;
	int fd = raw_open(harness);

	for (unsigned i = 0; i < sizeof(handles) / sizeof(*handles); i++) {
		Npud__Request request = NPUD__REQUEST__INIT;

		release.handle = commit.job = destroy.job = submit_message.job = groups.job = cancel.submission =
		    handles[i];
		request.body_case = NPUD__REQUEST__BODY_BUFFER_RELEASE;
		request.buffer_release = &release;
		ASSERT_CODE(fd, &request, -1, none);
		request.body_case = NPUD__REQUEST__BODY_JOB_COMMIT;
		request.job_commit = &commit;
		ASSERT_CODE(fd, &request, -1, none);
		request.body_case = NPUD__REQUEST__BODY_JOB_DESTROY;
		request.job_destroy = &destroy;
		ASSERT_CODE(fd, &request, -1, none);
		request.body_case = NPUD__REQUEST__BODY_JOB_SUBMIT;
		request.job_submit = &submit_message;
		ASSERT_CODE(fd, &request, -1, none);
		request.body_case = NPUD__REQUEST__BODY_JOB_GROUPS;
		request.job_groups = &groups;
		ASSERT_CODE(fd, &request, -1, none);
		request.body_case = NPUD__REQUEST__BODY_JOB_CANCEL;
		request.job_cancel = &cancel;
		Npud__ServerFrame *frame = raw_call(fd, &request, -1);
		ck_assert_ptr_null(frame->reply->error);
		ck_assert_int_eq(frame->reply->cancel_info->state, NPUD__CANCEL_STATE__CANCEL_FINISHED);
		raw_free(frame);
	}
	close(fd);
}
END_TEST

/* ------------------------------------------------------------------ job descriptions */

static uint64_t begin(int fd, uint32_t groups, uint32_t bss, Npud__ErrorCode *code)
{
	Npud__JobV3 v3 = NPUD__JOB_V3__INIT;
	Npud__JobBegin message = NPUD__JOB_BEGIN__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	uint64_t job = 0;

	v3.group_count = groups;
	v3.bss_count = bss;
	message.generation_case = NPUD__JOB_BEGIN__GENERATION_V3;
	message.v3 = &v3;
	request.body_case = NPUD__REQUEST__BODY_JOB_BEGIN;
	request.job_begin = &message;
	Npud__ServerFrame *frame = raw_call(fd, &request, -1);
	*code = frame->reply->error ? frame->reply->error->code : 0;
	if (*code == 0)
		job = frame->reply->job_info->job;
	raw_free(frame);
	return job;
}

START_TEST(job_descriptions_that_do_not_add_up_are_refused)
{
	Npud__JobBegin empty = NPUD__JOB_BEGIN__INIT;
	Npud__JobV1 v1 = NPUD__JOB_V1__INIT;
	Npud__JobCommit commit = NPUD__JOB_COMMIT__INIT;
	Npud__JobSubmit early = NPUD__JOB_SUBMIT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__ErrorCode code;
	int fd = raw_open(harness);

	(void)begin(fd, 0, 1, &code);
	ck_assert_int_ne(code, 0);
	(void)begin(fd, 1, 0, &code);
	ck_assert_int_ne(code, 0);
	(void)begin(fd, NPUD_MAX_GROUPS_PER_JOB + 1, 1, &code);
	ck_assert_int_ne(code, 0);
	(void)begin(fd, NPUD_MAX_GROUPS_PER_JOB, NPUD_MAX_BSS_PER_JOB + 1, &code);
	ck_assert_int_ne(code, 0);
	(void)begin(fd, UINT32_MAX, UINT32_MAX, &code);
	ck_assert_int_ne(code, 0);
	request.body_case = NPUD__REQUEST__BODY_JOB_BEGIN;
	request.job_begin = &empty; /* no generation */
	ck_assert_int_ne(code_of(fd, &request, -1), 0);
	empty.generation_case = NPUD__JOB_BEGIN__GENERATION_V1;
	empty.v1 = &v1;
	ASSERT_CODE(fd, &request, -1, NPUD__ERROR_CODE__ERROR_UNSUPPORTED);
	uint64_t job = begin(fd, 2, 1, &code);
	ck_assert_int_eq(code, 0);
	commit.job = early.job = job;
	request.body_case = NPUD__REQUEST__BODY_JOB_SUBMIT;
	request.job_submit = &early;
	ck_assert_int_ne(code_of(fd, &request, -1), 0); /* not committed */
	request.body_case = NPUD__REQUEST__BODY_JOB_COMMIT;
	request.job_commit = &commit;
	ASSERT_CODE(fd, &request, -1, NPUD__ERROR_CODE__ERROR_INVALID); /* two announced, none came */
	close(fd);
}
END_TEST

static uint64_t import_handle(int fd, size_t bytes, bool read_only)
{
	Npud__BufferImport message = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	int file = memory(bytes, F_SEAL_SHRINK);

	message.bytes = bytes;
	message.read_only = read_only;
	request.body_case = NPUD__REQUEST__BODY_BUFFER_IMPORT;
	request.buffer_import = &message;
	Npud__ServerFrame *frame = raw_call(fd, &request, file);
	ck_assert_ptr_null(frame->reply->error);
	uint64_t handle = frame->reply->buffer_info->handle;
	raw_free(frame);
	close(file);
	return handle;
}

START_TEST(group_references_stay_inside_their_buffers)
{
	static const struct {
		uint64_t text, parameters, stack;
		uint32_t stride, bss;
		int dependency;
		bool good;
	} cases[] = {
	    {0, 0, 0, 0x400, 0, 2, true},
	    {0x4000, 0, 0, 0x400, 0, 2, false}, /* at the end */
	    {0x3ff0, 0, 0, 0x400, 0, 2, true},
	    {8, 0, 0, 0x400, 0, 2, false}, /* an entry point is a multiple of 16 */
	    {UINT64_MAX, 0, 0, 0x400, 0, 2, false},
	    {0, UINT64_MAX - 15, 0, 0x400, 0, 2, false},
	    {0, 0x4000, 0, 0x400, 0, 2, false},
	    {0, 0, 0x4000, 0x400, 0, 2, false},
	    {0, 0, 0, 0x40000000, 0, 2, false}, /* task 1 outside */
	    {0, 0, 0, UINT32_MAX, 0, 2, false},
	    {0, 0, 0, 0x400, 1, 2, false}, /* no such block */
	    {0, 0, 0, 0x400, UINT32_MAX, 2, false},
	    {0, 0, 0, 0x400, 0, 3, false}, /* not of this generation */
	    {0, 0, 0, 0x400, 0, 99, false},
	};
	Npud__Group group = NPUD__GROUP__INIT, *list[] = {&group};
	Npud__BufferRef text = NPUD__BUFFER_REF__INIT, parameters = NPUD__BUFFER_REF__INIT,
			stack = NPUD__BUFFER_REF__INIT, data = NPUD__BUFFER_REF__INIT;
	Npud__JobGroups message = NPUD__JOB_GROUPS__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	int fd = raw_open(harness);

	text.handle = parameters.handle = stack.handle = data.handle = import_handle(fd, 0x4000, false);
	group.text = &text;
	group.parameters = &parameters;
	group.stack = &stack;
	group.private_data = &data;
	group.private_stride = 0x100;
	message.n_groups = 1;
	message.groups = list;
	request.body_case = NPUD__REQUEST__BODY_JOB_GROUPS;
	request.job_groups = &message;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		Npud__ErrorCode code;

		message.job = begin(fd, 1, 1, &code);
		ck_assert_int_eq(code, 0);
		text.offset = cases[i].text;
		parameters.offset = cases[i].parameters;
		stack.offset = cases[i].stack;
		group.stack_stride = cases[i].stride;
		group.bss = cases[i].bss;
		group.dependency = (Npud__Dependency)cases[i].dependency;
		code = code_of(fd, &request, -1);
		ck_assert_msg((code == 0) == cases[i].good, "case %u: error %d", i, code);
	}
	close(fd);
}
END_TEST

START_TEST(more_groups_than_a_frame_may_carry_are_refused)
{
	Npud__Group group = NPUD__GROUP__INIT, *list[NPUD_MAX_GROUPS_PER_FRAME + 1];
	Npud__JobGroups message = NPUD__JOB_GROUPS__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__ErrorCode code;
	int fd = raw_open(harness);

	message.job = begin(fd, 1000, 1, &code);
	ck_assert_int_eq(code, 0);
	for (unsigned i = 0; i <= NPUD_MAX_GROUPS_PER_FRAME; i++)
		list[i] = &group;
	message.n_groups = NPUD_MAX_GROUPS_PER_FRAME + 1;
	message.groups = list;
	request.body_case = NPUD__REQUEST__BODY_JOB_GROUPS;
	request.job_groups = &message;
	request.serial = 4711;
	ck_assert_int_eq(raw_send(fd, &request, -1), 0);
	Npud__ServerFrame *frame = raw_receive(fd); /* an error, whether or not the connection survives it */
	ck_assert(!frame || frame->reply->error);
	raw_free(frame);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire");
	TCase *all = tcase_create("wire");

	tcase_set_timeout(all, 120);
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, garbage_ends_the_connection);
	tcase_add_test(all, frames_beyond_the_limit_end_the_connection);
	tcase_add_test(all, unasked_descriptors_are_closed_with_the_connection);
	tcase_add_test(all, the_first_request_is_hello_and_only_the_first);
	tcase_add_test(all, a_client_that_never_reads_holds_nobody_up);
	tcase_add_test(all, memory_that_is_not_what_it_should_be_is_refused);
	tcase_add_test(all, an_import_without_its_descriptor_ends_the_connection);
	tcase_add_test(all, foreign_handles_do_not_exist);
	tcase_add_test(all, job_descriptions_that_do_not_add_up_are_refused);
	tcase_add_test(all, group_references_stay_inside_their_buffers);
	tcase_add_test(all, more_groups_than_a_frame_may_carry_are_refused);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
