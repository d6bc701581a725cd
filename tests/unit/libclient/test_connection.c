/* SPDX-License-Identifier: Apache-2.0 */
/* The connection: greeting, terms that are refused, a daemon that dies or talks nonsense. */
#include "tests/unit/libclient/session.h"

START_TEST(connecting_to_nothing_says_so)
{
	start();
	ck_assert_int_eq(npu_connect("/nonexistent/npud.sock", &npu), -ENOENT);
	ck_assert_ptr_nonnull(strstr(npu_error(), "/nonexistent/npud.sock"));
	int listener = fake_listen(fake.path, SOCK_SEQPACKET);

	(void)close(listener);
	ck_assert_int_eq(npu_connect(fake.path, &npu), -ECONNREFUSED);
	(void)unlink(fake.path);
	listener = fake_listen(fake.path, SOCK_STREAM);
	ck_assert_int_eq(npu_connect(fake.path, &npu), -EPROTO);
	(void)close(listener);
	(void)unlink(fake.path);
	(void)rmdir(fake.directory);
	char path[200];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(npu_connect(path, &npu), -ENAMETOOLONG);
	ck_assert_int_eq(count_fds(), fds_before);
}
END_TEST

START_TEST(the_socket_comes_from_the_environment)
{
	start();
	ck_assert_int_eq(setenv(NPUD_SOCKET_ENV, fake.path, 1), 0);
	fake_start(&fake);
	ck_assert_msg(npu_connect(NULL, &npu) == 0, "%s", npu_error());
	ck_assert_uint_eq(npu_device_count(npu), 1);
	finish();
}
END_TEST

START_TEST(another_major_version_is_refused)
{
	start();
	fake.major = 2;
	fake_start(&fake);
	ck_assert_int_eq(npu_connect(fake.path, &npu), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(npu_error(), "protocol 2"));
	npu = NULL;
	finish();
}
END_TEST

START_TEST(a_newer_daemon_with_unknown_features_is_served)
{
	start();
	fake.minor = NPUD_PROTOCOL_MINOR + 7;
	fake.features = UINT64_MAX;
	begin();
	ck_assert_int_eq(npu_ping(npu), 0);
	finish();
}
END_TEST

START_TEST(a_session_on_a_device_that_is_not_there_is_refused)
{
	static const struct {
		uint32_t devices, device;
	} terms[] = {{1, 1}, {2, 2}, {2, UINT32_MAX}, {64, 63}};

	for (unsigned i = 0; i < sizeof(terms) / sizeof(*terms); i++) {
		start();
		fake.devices = terms[i].devices;
		fake.device = terms[i].device;
		fake_start(&fake);
		ck_assert_int_eq(npu_connect(fake.path, &npu), -EPROTO);
		ck_assert_ptr_nonnull(strstr(npu_error(), "device"));
		npu = NULL;
		finish();
	}
}
END_TEST

START_TEST(a_daemon_that_grants_no_credits_is_refused)
{
	start();
	fake.credits = 0;
	fake_start(&fake);
	ck_assert_int_eq(npu_connect(fake.path, &npu), -EPROTO);
	npu = NULL;
	finish();
}
END_TEST

START_TEST(a_device_is_described)
{
	struct npu_device_info info;

	start();
	begin();
	ck_assert_int_eq(npu_ping(npu), 0);
	ck_assert_str_eq(npu_error(), "");
	ck_assert_int_eq(npu_device_info(npu, 0, &info), 0);
	ck_assert_str_eq(info.name, "X2_1204MP3");
	ck_assert_uint_eq(info.tecs, 4);
	ck_assert_int_eq(npu_device_info(npu, 1, &info), -ENODEV);
	ck_assert_str_ne(npu_error(), "");
	finish();
}
END_TEST

/* --- a daemon that misbehaves */

static void expect_broken(enum fake_mood mood, int code)
{
	start();
	begin();
	atomic_store(&fake.mood, mood);
	ck_assert_int_eq(npu_ping(npu), code);
	ck_assert_str_ne(npu_error(), "");
	ck_assert_ptr_nonnull(strstr(npu_error(), "npud"));
}

START_TEST(garbage_ends_the_connection_not_the_process)
{
	expect_broken(FAKE_GARBAGE, -EPROTO);
	ck_assert_int_eq(npu_ping(npu), -EPROTO);
	finish();
}
END_TEST

START_TEST(a_frame_without_a_body_ends_the_connection)
{
	expect_broken(FAKE_EMPTY, -EPROTO);
	finish();
}
END_TEST

START_TEST(a_reply_of_another_kind_is_an_error)
{
	expect_broken(FAKE_OTHER_KIND, -EPROTO);
	atomic_store(&fake.mood, FAKE_GOOD);
	ck_assert_int_eq(npu_ping(npu), 0);
	finish();
}
END_TEST

START_TEST(a_daemon_that_dies_during_a_request_is_reported)
{
	expect_broken(FAKE_DIES, -EPIPE);
	ck_assert_int_eq(npu_ping(npu), -EPIPE);
	ck_assert_int_eq(npu_dispatch(npu), -EPIPE);
	finish();
}
END_TEST

START_TEST(a_daemon_that_dies_ends_every_wait)
{
	struct npu_result result;
	uint64_t ticket;

	start();
	begin_with_graph();
	struct npu_job *job = make_job();

	ticket = submit(job, 1);
	settle();
	fake_kill(&fake);
	ck_assert_int_eq(npu_wait(npu, ticket, NPU_WAIT_FOREVER, &result), -EPIPE);
	ck_assert_ptr_nonnull(strstr(npu_error(), "npud"));
	ck_assert_int_eq(npu_wait(npu, ticket, 0, &result), -EPIPE);
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), -EPIPE);
	ck_assert_int_eq(npu_job_free(job), 0);
	finish();
}
END_TEST

#define ADD(test) tcase_add_test(tests, test)

int main(void)
{
	Suite *suite = suite_create("connection");
	TCase *tests = tcase_create("connection");

	tcase_set_timeout(tests, 60);
	ADD(connecting_to_nothing_says_so);
	ADD(the_socket_comes_from_the_environment);
	ADD(another_major_version_is_refused);
	ADD(a_newer_daemon_with_unknown_features_is_served);
	ADD(a_session_on_a_device_that_is_not_there_is_refused);
	ADD(a_daemon_that_grants_no_credits_is_refused);
	ADD(a_device_is_described);
	ADD(garbage_ends_the_connection_not_the_process);
	ADD(a_frame_without_a_body_ends_the_connection);
	ADD(a_reply_of_another_kind_is_an_error);
	ADD(a_daemon_that_dies_during_a_request_is_reported);
	ADD(a_daemon_that_dies_ends_every_wait);
	suite_add_tcase(suite, tests);
	return suite_main(suite);
}
