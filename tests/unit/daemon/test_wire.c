/* SPDX-License-Identifier: Apache-2.0 */
/* A whole server on a real socket with a fake device behind it: what a client sees, and what it cannot do. */
#include <event2/event.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "daemon/util/alloc_count.h"
#include "daemon/wire/server.h"
#include "npud.pb-c.h"
#include "tests/unit/daemon/fake_device.h"

struct bench {
	struct world world;
	struct event_base *base;
	struct server *server;
	char directory[64];
	char path[108];
	uint32_t serial;
};

static void bench_open_with(struct bench *bench, uint64_t per_user)
{
	struct server_options options = {.path = bench->path,
					 .mode = 0600,
					 .group = "",
					 .listen_fd = -1,
					 .connections = 100,
					 .connections_per_user = per_user,
					 .hello_ms = 60000};
	char why[256] = "";

	memset(bench, 0, sizeof(*bench));
	world_open(&bench->world);
	memcpy(bench->directory, "/tmp/npud-wire-XXXXXX", sizeof("/tmp/npud-wire-XXXXXX"));
	ck_assert_ptr_nonnull(mkdtemp(bench->directory));
	ck_assert_int_gt(snprintf(bench->path, sizeof(bench->path), "%s/s", bench->directory), 0);
	bench->base = event_base_new();
	int error = server_new(bench->base, bench->world.host, &options, &bench->server, why);
	ck_assert_msg(error == 0, "%s", why);
}

static void bench_open(struct bench *bench)
{
	bench_open_with(bench, 50);
}

/* Everything that can happen without waiting. */
static void turn(struct bench *bench)
{
	for (int i = 0; i < 4; i++) {
		(void)event_base_loop(bench->base, EVLOOP_NONBLOCK);
		world_work(&bench->world);
	}
}

static void bench_close(struct bench *bench)
{
	server_free(bench->server);
	world_work(&bench->world);
	event_base_free(bench->base);
	ck_assert_int_eq(access(bench->path, F_OK), -1);
	ck_assert_int_eq(rmdir(bench->directory), 0);
	world_close(&bench->world);
}

static int client_open(struct bench *bench)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, bench->path, strlen(bench->path));
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	turn(bench);
	return fd;
}

static void send_bytes(int fd, const void *data, size_t bytes, const int *fds, unsigned count)
{
	union {
		char bytes[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec vector = {(void *)(uintptr_t)data, bytes};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

	if (count) {
		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	}
	(void)!sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* NULL: nothing came. */
static Npud__ServerFrame *receive(int fd)
{
	uint8_t data[NPUD_MAX_FRAME_BYTES];
	ssize_t bytes = recv(fd, data, sizeof(data), MSG_DONTWAIT);

	if (bytes <= 0)
		return NULL;
	Npud__ServerFrame *frame = npud__server_frame__unpack(NULL, (size_t)bytes, data);
	ck_assert_ptr_nonnull(frame);
	return frame;
}

static bool is_closed(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void send_request(struct bench *bench, int fd, Npud__Request *request, const int *fds, unsigned count)
{
	uint8_t data[NPUD_MAX_FRAME_BYTES];

	request->serial = ++bench->serial;
	send_bytes(fd, data, npud__request__pack(request, data), fds, count);
}

static Npud__ServerFrame *ask(struct bench *bench, int fd, Npud__Request *request, const int *fds, unsigned count)
{
	send_request(bench, fd, request, fds, count);
	turn(bench);
	Npud__ServerFrame *frame = receive(fd);
	ck_assert_ptr_nonnull(frame);
	ck_assert_int_eq(frame->body_case, NPUD__SERVER_FRAME__BODY_REPLY);
	return frame;
}

static void drop(Npud__ServerFrame *frame)
{
	npud__server_frame__free_unpacked(frame, NULL);
}

static Npud__ErrorCode error_of(Npud__ServerFrame *frame)
{
	Npud__ErrorCode code = frame->reply->error ? frame->reply->error->code : NPUD__ERROR_CODE__ERROR_UNSPECIFIED;

	drop(frame);
	return code;
}

static Npud__ErrorCode hello(struct bench *bench, int fd, uint32_t major)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__Hello body = NPUD__HELLO__INIT;

	body.major = major;
	body.minor = 7;
	body.client_name = (char *)(uintptr_t) "test";
	request.body_case = NPUD__REQUEST__BODY_HELLO;
	request.hello = &body;
	return error_of(ask(bench, fd, &request, NULL, 0));
}

static Npud__ErrorCode ping(struct bench *bench, int fd)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__Ping body = NPUD__PING__INIT;

	request.body_case = NPUD__REQUEST__BODY_PING;
	request.ping = &body;
	return error_of(ask(bench, fd, &request, NULL, 0));
}

static int client(struct bench *bench)
{
	int fd = client_open(bench);

	ck_assert_int_eq(hello(bench, fd, NPUD_PROTOCOL_MAJOR), 0);
	return fd;
}

/* ------------------------------------------------------------------ connection */

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

/* ------------------------------------------------------------------ requests */

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
	ck_assert_uint_ge(frame->reply->buffer_info->npu_address, SPACE_CLIENT_OFFSET);
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
	tcase_add_test(tcase, a_job_travels_from_bytes_to_its_completion_event);
	tcase_add_test(tcase, errors_leave_the_connection_open);
	tcase_add_test(tcase, another_connections_handles_find_nothing);
	tcase_add_test(tcase, nothing_is_allocated_between_submit_and_completion);
	tcase_add_test(tcase, totals_are_exact_and_a_gone_device_is_announced);
	tcase_add_test(tcase, the_end_of_the_process_that_connected_ends_the_session);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
