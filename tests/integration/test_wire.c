/* SPDX-License-Identifier: Apache-2.0 */
/* Malformed frames and impossible requests on a raw socket: an error or a closed connection, and nobody else notices.
 */
#include <fcntl.h>
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
			raw_expect_closed(fd);
		}
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
	raw_expect_closed(fd);
	fd = raw_open(harness);
	hello.major = NPUD_PROTOCOL_MAJOR;
	request.body_case = NPUD__REQUEST__BODY_HELLO;
	request.hello = &hello;
	ck_assert_int_eq(raw_send(fd, &request, -1), 0);
	raw_expect_closed(fd);
}
END_TEST

/* ------------------------------------------------------------------ requests */

START_TEST(an_import_without_its_descriptor_ends_the_connection)
{
	Npud__BufferImport message = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	int fd = raw_open(harness), fds[2] = {raw_memory(0x1000, F_SEAL_SHRINK), raw_memory(0x1000, F_SEAL_SHRINK)};
	uint8_t frame[64];

	message.bytes = 0x1000;
	request.body_case = NPUD__REQUEST__BODY_BUFFER_IMPORT;
	request.buffer_import = &message;
	ck_assert_int_eq(raw_send(fd, &request, -1), 0);
	raw_expect_closed(fd);
	fd = raw_open(harness);
	size_t bytes = npud__request__pack(&request, frame);
	ck_assert_int_eq(raw_send_bytes(fd, frame, bytes, fds, 2), 0);
	raw_expect_closed(fd);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* ------------------------------------------------------------------ job descriptions */

START_TEST(job_descriptions_that_do_not_add_up_are_refused)
{
	Npud__JobBegin empty = NPUD__JOB_BEGIN__INIT;
	Npud__JobV1 v1 = NPUD__JOB_V1__INIT;
	Npud__JobCommit commit = NPUD__JOB_COMMIT__INIT;
	Npud__JobSubmit early = NPUD__JOB_SUBMIT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__ErrorCode code;
	int fd = raw_open(harness);

	(void)raw_job_begin(fd, 0, 1, &code);
	ck_assert_int_ne(code, 0);
	(void)raw_job_begin(fd, 1, 0, &code);
	ck_assert_int_ne(code, 0);
	(void)raw_job_begin(fd, NPUD_MAX_GROUPS_PER_JOB + 1, 1, &code);
	ck_assert_int_ne(code, 0);
	(void)raw_job_begin(fd, NPUD_MAX_GROUPS_PER_JOB, NPUD_MAX_BSS_PER_JOB + 1, &code);
	ck_assert_int_ne(code, 0);
	(void)raw_job_begin(fd, UINT32_MAX, UINT32_MAX, &code);
	ck_assert_int_ne(code, 0);
	request.body_case = NPUD__REQUEST__BODY_JOB_BEGIN;
	request.job_begin = &empty; /* no generation */
	ck_assert_int_ne(raw_code(fd, &request, -1), 0);
	empty.generation_case = NPUD__JOB_BEGIN__GENERATION_V1;
	empty.v1 = &v1;
	ASSERT_CODE(fd, &request, -1, NPUD__ERROR_CODE__ERROR_UNSUPPORTED);
	uint64_t job = raw_job_begin(fd, 2, 1, &code);
	ck_assert_int_eq(code, 0);
	commit.job = early.job = job;
	request.body_case = NPUD__REQUEST__BODY_JOB_SUBMIT;
	request.job_submit = &early;
	ck_assert_int_ne(raw_code(fd, &request, -1), 0); /* not committed */
	request.body_case = NPUD__REQUEST__BODY_JOB_COMMIT;
	request.job_commit = &commit;
	ASSERT_CODE(fd, &request, -1, NPUD__ERROR_CODE__ERROR_INVALID); /* two announced, none came */
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

	message.job = raw_job_begin(fd, 1000, 1, &code);
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
	tcase_add_test(all, the_first_request_is_hello_and_only_the_first);
	tcase_add_test(all, an_import_without_its_descriptor_ends_the_connection);
	tcase_add_test(all, job_descriptions_that_do_not_add_up_are_refused);
	tcase_add_test(all, more_groups_than_a_frame_may_carry_are_refused);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
