/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to the server: greeting, limits, frames that are wrong, clients that leave or do not read. */
#include <sys/wait.h>

#include "tests/unit/daemon/wire_bench.h"

START_TEST(the_first_request_must_be_hello_and_costs_no_session)
{
	struct bench bench;
	bench_open(&bench);
	int fd = client_open(&bench);

	ck_assert_int_eq(ping(&bench, fd), NPUD__ERROR_CODE__ERROR_PROTOCOL);
	ck_assert(is_closed(fd));
	ck_assert_uint_eq(bench.world.host->session_count, 0);
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(versions_are_negotiated_once)
{
	struct bench bench;
	bench_open(&bench);
	int old = client_open(&bench);
	ck_assert_int_eq(hello(&bench, old, NPUD_PROTOCOL_MAJOR + 1), NPUD__ERROR_CODE__ERROR_VERSION);
	ck_assert(is_closed(old));
	close(old);
	int fd = client(&bench);
	ck_assert_int_eq(ping(&bench, fd), 0);
	ck_assert_int_eq(hello(&bench, fd, NPUD_PROTOCOL_MAJOR), NPUD__ERROR_CODE__ERROR_PROTOCOL);
	ck_assert(is_closed(fd));
	close(fd);
	turn(&bench);
	ck_assert_uint_eq(bench.world.host->session_count, 0);
	bench_close(&bench);
}
END_TEST

START_TEST(a_client_that_leaves_takes_its_session_with_it)
{
	struct bench bench;
	bench_open(&bench);
	int fd = client(&bench);

	ck_assert_uint_eq(bench.world.host->session_count, 1);
	close(fd);
	turn(&bench);
	ck_assert_uint_eq(bench.world.host->session_count, 0);
	bench_close(&bench);
}
END_TEST

START_TEST(one_user_cannot_take_all_connections)
{
	struct bench bench;
	bench_open_with(&bench, 3);
	int fds[4];

	for (int i = 0; i < 4; i++)
		fds[i] = client_open(&bench);
	ck_assert(is_closed(fds[3]));
	close(fds[0]);
	turn(&bench);
	int again = client(&bench);
	close(again);
	for (int i = 1; i < 4; i++)
		close(fds[i]);
	bench_close(&bench);
}
END_TEST

START_TEST(surplus_descriptors_end_the_connection_and_leak_nothing)
{
	struct bench bench;
	bench_open(&bench);
	int passed[16];

	for (int i = 0; i < 16; i++)
		passed[i] = 0;
	for (unsigned count = 1; count <= 16; count += 3) {
		int fd = client(&bench);
		unsigned before = count_open_fds();
		Npud__Request request = NPUD__REQUEST__INIT;
		Npud__Ping body = NPUD__PING__INIT;
		request.body_case = NPUD__REQUEST__BODY_PING;
		request.ping = &body;
		ck_assert_int_eq(error_of(ask(&bench, fd, &request, passed, count)), NPUD__ERROR_CODE__ERROR_PROTOCOL);
		ck_assert(is_closed(fd));
		/* the connection's own, and its pidfd where there is one */
		ck_assert_uint_lt(count_open_fds(), before);
		close(fd);
	}
	bench_close(&bench);
}
END_TEST

START_TEST(an_oversized_frame_is_answered_and_ends_the_connection)
{
	static uint8_t data[NPUD_MAX_FRAME_BYTES + 1];
	struct bench bench;
	bench_open(&bench);
	int fd = client(&bench);

	send_bytes(fd, data, sizeof(data), NULL, 0);
	turn(&bench);
	ck_assert_int_eq(error_of(receive(fd)), NPUD__ERROR_CODE__ERROR_PROTOCOL);
	ck_assert(is_closed(fd));
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(random_frames_hurt_nobody)
{
	struct bench bench;
	bench_open(&bench);
	int good = client(&bench);
	unsigned seed = 1;

	for (int i = 0; i < 3000; i++) {
		uint8_t data[96];
		int fd = i % 2 ? client(&bench) : client_open(&bench);
		size_t bytes = 1 + (unsigned)i % sizeof(data);
		for (size_t k = 0; k < bytes; k++) {
			seed = seed * 1103515245u + 12345u;
			data[k] = (uint8_t)(seed >> 16);
		}
		/* the serial and a body, so that handlers are reached too */
		if (i % 3 && bytes > 4) {
			data[0] = (uint8_t)((2 + i % 14) << 3 | 2);
			data[1] = (uint8_t)(bytes - 2);
		}
		send_bytes(fd, data, bytes, &good, i % 5 == 0);
		turn(&bench);
		close(fd);
		turn(&bench);
	}
	ck_assert_int_eq(ping(&bench, good), 0);
	ck_assert_uint_eq(bench.world.host->session_count, 1);
	close(good);
	bench_close(&bench);
}
END_TEST

START_TEST(a_client_that_does_not_read_is_not_read_either)
{
	struct bench bench;
	bench_open(&bench);
	int fd = client(&bench);
	int other = client(&bench);
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__Ping body = NPUD__PING__INIT;
	uint8_t data[64];
	unsigned sent = 0;
	unsigned received = 0;

	request.serial = 1;
	request.body_case = NPUD__REQUEST__BODY_PING;
	request.ping = &body;
	size_t bytes = npud__request__pack(&request, data);
	/* until both directions are full */
	while (sent < 100000 && send(fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
		sent++;
		if (sent % 50 == 0)
			turn(&bench);
	}
	ck_assert_uint_lt(sent, 100000);
	ck_assert_int_eq(ping(&bench, other), 0);
	/* and nothing was lost when it reads again */
	for (int idle = 0; idle < 3; idle++) {
		Npud__ServerFrame *frame;
		while ((frame = receive(fd)) != NULL) {
			received++;
			idle = 0;
			drop(frame);
		}
		turn(&bench);
	}
	ck_assert_uint_eq(received, sent);
	close(fd);
	close(other);
	bench_close(&bench);
}
END_TEST

START_TEST(the_end_of_the_process_that_connected_ends_the_session)
{
	struct bench bench;
	bench_open(&bench);
	int fd = -1;
	int pair[2];

	/* The child connects, hands the socket back and ends: what is left of it must not keep the session. */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid_t child = fork();
	if (child == 0) {
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		memcpy(address.sun_path, bench.path, strlen(bench.path));
		int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
		if (connect(s, (const struct sockaddr *)&address, sizeof(address)) == 0)
			send_bytes(pair[1], "x", 1, &s, 1);
		char byte;
		_exit((int)read(pair[1], &byte, 1));
	}
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec vector = {&byte, 1};
	struct msghdr message = {
	    .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
	ck_assert_int_eq(recvmsg(pair[0], &message, MSG_CMSG_CLOEXEC), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	turn(&bench);
	ck_assert_int_eq(hello(&bench, fd, NPUD_PROTOCOL_MAJOR), 0);
	ck_assert_uint_eq(bench.world.host->session_count, 1);
	ck_assert_int_eq(write(pair[0], "x", 1), 1);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	turn(&bench);
	ck_assert_uint_eq(bench.world.host->session_count, 0);
	ck_assert(is_closed(fd));
	close(fd);
	close(pair[0]);
	close(pair[1]);
	bench_close(&bench);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire");
	TCase *tcase = tcase_create("wire");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, the_first_request_must_be_hello_and_costs_no_session);
	tcase_add_test(tcase, versions_are_negotiated_once);
	tcase_add_test(tcase, a_client_that_leaves_takes_its_session_with_it);
	tcase_add_test(tcase, one_user_cannot_take_all_connections);
	tcase_add_test(tcase, surplus_descriptors_end_the_connection_and_leak_nothing);
	tcase_add_test(tcase, an_oversized_frame_is_answered_and_ends_the_connection);
	tcase_add_test(tcase, random_frames_hurt_nobody);
	tcase_add_test(tcase, a_client_that_does_not_read_is_not_read_either);
	tcase_add_test(tcase, the_end_of_the_process_that_connected_ends_the_session);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
