/* SPDX-License-Identifier: Apache-2.0 */
/* Starting and stopping: twice on the same place, with a wrong configuration, without a device. */
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/limits.h"
#include "tests/integration/raw.h"

enum { EXIT_BAD_CONFIG = 3, EXIT_SOCKET = 4, EXIT_DEVICE = 5, EXIT_NOTHING = 6 };

START_TEST(the_programs_start_and_stop_clean)
{
	for (unsigned i = 0; i < 3; i++) {
		struct harness *harness = harness_start(NULL);

		ck_assert_uint_eq(harness->before.sessions, 1); /* who asks */
		ck_assert_uint_eq(harness->before.mappings, 0);
		harness_stop(harness);
	}
}
END_TEST

START_TEST(a_daemon_can_be_followed_by_another_on_the_same_device)
{
	struct harness *harness = harness_start(NULL);

	for (unsigned i = 0; i < 3; i++) {
		struct npu_connection *connection = harness_connect(harness);
		struct npu_job *job = job_of(connection, program_copy(4, 1));

		ASSERT_OUTCOME(run(connection, job), NPU_DONE);
		npu_disconnect(connection);
		harness_settle(harness);
		ck_assert_int_eq(kill(harness->npud, SIGTERM), 0);
		ck_assert_int_eq(harness_wait(harness->npud), 0);
		harness_npud_gone(harness);
		harness_npud_again(harness);
	}
	harness_stop(harness);
}
END_TEST

static void config_text(char *out, size_t bytes, const char *socket, const char *device)
{
	ck_assert_int_lt(snprintf(out, bytes,
				  "{\"socket\":{\"path\":\"%s\"},\"devices\":[{\"name\":\"npu0\",\"path\":\"%s\"}]}",
				  socket, device),
			 (int)bytes);
}

static void expect_log(const struct harness *harness, const char *text)
{
	char *log = harness_read(harness, "second.log");

	ck_assert_msg(strstr(log, text) != NULL, "'%s' is not in: %s", text, log);
	free(log);
}

START_TEST(a_second_instance_on_the_same_socket_or_device_refuses)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(4, 1));
	char config[512], other[128];

	config_text(config, sizeof(config), harness->socket, harness->emu_socket);
	ck_assert_int_eq(harness_npud_exit(harness, config, "second.log"), EXIT_SOCKET);
	expect_log(harness, harness->socket);
	(void)snprintf(other, sizeof(other), "%s/other.sock", harness->directory);
	config_text(config, sizeof(config), other, harness->emu_socket);
	ck_assert_int_eq(harness_npud_exit(harness, config, "second.log"), EXIT_DEVICE);
	expect_log(harness, harness->emu_socket);
	ASSERT_OUTCOME(run(connection, job), NPU_DONE); /* the first did not notice */
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(a_daemon_without_any_device_says_which_and_ends)
{
	struct harness *harness = harness_start(NULL);
	char config[512], other[128], nowhere[128];

	(void)snprintf(other, sizeof(other), "%s/other.sock", harness->directory);
	(void)snprintf(nowhere, sizeof(nowhere), "%s/nowhere.sock", harness->directory);
	config_text(config, sizeof(config), other, nowhere);
	ck_assert_int_eq(harness_npud_exit(harness, config, "second.log"), EXIT_NOTHING);
	expect_log(harness, nowhere);
	ck_assert_int_lt(access(other, F_OK), 0);
	harness_stop(harness);
}
END_TEST

static const struct {
	const char *text;
	const char *where;
} configs[] = {
    {"", "line "},
    {"{\"devices\": [}", "line 1"},
    {"[]", "object"},
    {"{}", "devices"},
    {"{\"devices\":[]}", "devices"},
    {"{\"devices\":[{\"path\":\"/x\"}]}", "devices[0].name"},
    {"{\"devices\":[{\"name\":\"a\"}]}", "devices[0].path"},
    {"{\"devices\":[{\"name\":\"a\",\"path\":\"relative\"}]}", "devices[0].path"},
    {"{\"devices\":[{\"name\":\"a\",\"path\":\"/x\",\"transport\":\"telepathy\"}]}", "devices[0].transport"},
    {"{\"devices\":[{\"name\":\"a\",\"path\":\"/x\",\"deadline_ms\":0}]}", "devices[0].deadline_ms"},
    {"{\"devices\":[{\"name\":\"a\",\"path\":\"/x\",\"deadline_ms\":\"1\"}]}", "devices[0].deadline_ms"},
    {"{\"devices\":[{\"name\":\"a\",\"path\":\"/x\"},{\"name\":\"a\",\"path\":\"/y\"}]}", "devices[1].name"},
    {"{\"devices\":[{\"name\":\"a\",\"path\":\"/x\",\"colour\":\"red\"}]}", "devices[0].colour"},
    {"{\"devices\":[{\"name\":\"a\",\"path\":\"/x\"}],\"budgets\":1}", "budgets"},
    {"{\"devices\":[{\"name\":\"a\",\"path\":\"/x\"}],\"budget\":{\"default_ms\":-1}}", "budget.default_ms"},
    {"{\"devices\":[{\"name\":\"a\",\"path\":\"/x\"}],\"socket\":{\"mode\":\"rw\"}}", "socket.mode"},
    {"{\"devices\":[{\"name\":\"a\",\"path\":\"/x\"}],\"scheduler\":{\"policy\":\"magic\"}}", "scheduler.policy"},
    {"{\"devices\":[{\"name\":\"a\",\"path\":\"/x\"}],\"scrub\":true}", "scrub"},
    {"{\"devices\":[{\"name\":\"a\",\"path\":\"/x\"}],\"devices\":[]}", "line 1"},
};

START_TEST(every_configuration_error_names_its_place)
{
	struct harness *harness = harness_start(NULL);

	for (unsigned i = 0; i < sizeof(configs) / sizeof(*configs); i++) {
		char path[160];

		(void)snprintf(path, sizeof(path), "%s/second.log", harness->directory);
		(void)unlink(path);
		ck_assert_msg(harness_npud_exit(harness, configs[i].text, "second.log") == EXIT_BAD_CONFIG, "%s",
			      configs[i].text);
		expect_log(harness, configs[i].where);
	}
	harness_stop(harness);
}
END_TEST

/* ------------------------------------------------------------------ old and new */

/* Hello with these numbers, and bytes that this version does not know. The reply, or NULL. */
static Npud__ServerFrame *hello(int fd, uint32_t major, uint32_t minor, uint64_t features)
{
	static const uint8_t unknown[] = {0xda, 0x0c, 3, 'n', 'e', 'w'}; /* field 203, a string */
	Npud__Hello message = NPUD__HELLO__INIT;
	uint8_t inner[256], frame[300];

	message.major = major;
	message.minor = minor;
	message.features = features;
	message.client_name = (char *)(uintptr_t) "from another time";
	/* the fields that will be added lie inside the Hello */
	size_t bytes = npud__hello__pack(&message, inner);
	memcpy(inner + bytes, unknown, sizeof(unknown));
	bytes += sizeof(unknown);
	const uint8_t head[] = {0x08, 5, 0x12, (uint8_t)bytes};
	ck_assert_uint_lt(bytes, 128);
	memcpy(frame, head, sizeof(head));
	memcpy(frame + sizeof(head), inner, bytes);
	memcpy(frame + sizeof(head) + bytes, unknown, sizeof(unknown)); /* and beside it */
	ck_assert_int_eq(raw_send_bytes(fd, frame, sizeof(head) + bytes + sizeof(unknown), NULL, 0), 0);
	return raw_receive(fd);
}

START_TEST(a_newer_library_is_served_at_the_daemons_version)
{
	struct harness *harness = harness_start(NULL);
	static const uint32_t minors[] = {NPUD_PROTOCOL_MINOR, NPUD_PROTOCOL_MINOR + 1, NPUD_PROTOCOL_MINOR + 100,
					  UINT32_MAX};

	for (unsigned i = 0; i < 4; i++) {
		int fd = raw_connect(harness);
		Npud__ServerFrame *frame = hello(fd, NPUD_PROTOCOL_MAJOR, minors[i], i ? UINT64_MAX : 0);

		ck_assert_ptr_nonnull(frame);
		ck_assert_ptr_null(frame->reply->error);
		ck_assert_uint_eq(frame->reply->serial, 5);
		ck_assert_uint_eq(frame->reply->hello->major, NPUD_PROTOCOL_MAJOR);
		ck_assert_uint_eq(frame->reply->hello->minor, NPUD_PROTOCOL_MINOR);
		ck_assert_uint_eq(frame->reply->hello->features, 0); /* what neither knows is not agreed */
		raw_free(frame);
		close(fd);
	}
	harness_stop(harness);
}
END_TEST

START_TEST(an_older_library_is_served_at_its_own_version)
{
	struct harness *harness = harness_start(NULL);
	int fd = raw_connect(harness);
	Npud__ServerFrame *frame = hello(fd, NPUD_PROTOCOL_MAJOR, 0, 0);

	ck_assert_ptr_nonnull(frame);
	ck_assert_ptr_null(frame->reply->error);
	ck_assert_uint_eq(frame->reply->hello->minor, 0);
	raw_free(frame);
	close(fd);
	harness_stop(harness);
}
END_TEST

START_TEST(another_major_version_is_told_so)
{
	static const uint32_t majors[] = {0, NPUD_PROTOCOL_MAJOR + 1, UINT32_MAX};
	struct harness *harness = harness_start(NULL);

	for (unsigned i = 0; i < 3; i++) {
		int fd = raw_connect(harness);
		Npud__ServerFrame *frame = hello(fd, majors[i], 0, 0);

		ck_assert_ptr_nonnull(frame);
		ck_assert_ptr_nonnull(frame->reply->error);
		ck_assert_int_eq(frame->reply->error->code, NPUD__ERROR_CODE__ERROR_VERSION);
		raw_free(frame);
		ck_assert_ptr_null(raw_receive(fd)); /* and the connection ends */
		close(fd);
	}
	harness_stop(harness);
}
END_TEST

/* A daemon from another time: answers Hello with the numbers given, then says things that nobody knows yet. */
struct other_daemon {
	char path[64];
	int listener;
	uint32_t major, minor;
	uint64_t features;
};

static int serve_other(struct harness *harness, void *user)
{
	static const uint8_t unknown_event[] = {0x12, 4, 0xa2, 0x06, 1, 0}; /* an Event whose body is field 100 */
	const struct other_daemon *daemon = user;
	uint8_t frame[NPUD_MAX_FRAME_BYTES];
	int fd = accept(daemon->listener, NULL, NULL);

	(void)harness;
	for (;;) {
		ssize_t bytes = recv(fd, frame, sizeof(frame), 0);

		if (bytes <= 0)
			return bytes < 0;
		Npud__Request *request = npud__request__unpack(NULL, (size_t)bytes, frame);
		if (!request)
			return 2;
		Npud__HelloReply hello_reply = NPUD__HELLO_REPLY__INIT;
		Npud__Empty empty = NPUD__EMPTY__INIT;
		Npud__Reply reply = NPUD__REPLY__INIT;
		Npud__ServerFrame message = NPUD__SERVER_FRAME__INIT;
		reply.serial = request->serial;
		reply.body_case = NPUD__REPLY__BODY_EMPTY;
		reply.empty = &empty;
		if (request->body_case == NPUD__REQUEST__BODY_HELLO) {
			hello_reply.major = daemon->major;
			hello_reply.minor = daemon->minor;
			hello_reply.features = daemon->features;
			hello_reply.server_version = (char *)(uintptr_t) "another";
			hello_reply.device_count = 1;
			hello_reply.max_frame_bytes = NPUD_MAX_FRAME_BYTES;
			hello_reply.max_frame_fds = NPUD_MAX_FRAME_FDS;
			hello_reply.max_groups_per_frame = NPUD_MAX_GROUPS_PER_FRAME;
			hello_reply.event_credits = 16;
			reply.body_case = NPUD__REPLY__BODY_HELLO;
			reply.hello = &hello_reply;
		} else {
			(void)raw_send_bytes(fd, unknown_event, sizeof(unknown_event), NULL, 0);
		}
		npud__request__free_unpacked(request, NULL);
		message.body_case = NPUD__SERVER_FRAME__BODY_REPLY;
		message.reply = &reply;
		size_t count = npud__server_frame__pack(&message, frame);
		if (raw_send_bytes(fd, frame, count, NULL, 0))
			return 3;
	}
}

START_TEST(the_library_gets_along_with_daemons_of_its_major_version)
{
	static const struct {
		uint32_t major, minor;
		uint64_t features;
		int result;
	} daemons[] = {{NPUD_PROTOCOL_MAJOR, 0, 0, 0},
		       {NPUD_PROTOCOL_MAJOR, NPUD_PROTOCOL_MINOR, 0, 0},
		       {NPUD_PROTOCOL_MAJOR + 1, 0, 0, -EPROTONOSUPPORT}};

	for (unsigned i = 0; i < 3; i++) {
		struct other_daemon daemon = {
		    .major = daemons[i].major, .minor = daemons[i].minor, .features = daemons[i].features};
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		struct npu_connection *connection = NULL;

		(void)snprintf(daemon.path, sizeof(daemon.path), "/tmp/npud-other-%d-%u.sock", getpid(), i);
		strncpy(address.sun_path, daemon.path, sizeof(address.sun_path) - 1);
		daemon.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		ck_assert_int_eq(bind(daemon.listener, (const struct sockaddr *)&address, sizeof(address)), 0);
		ck_assert_int_eq(listen(daemon.listener, 1), 0);
		pid_t pid = client_start(NULL, serve_other, &daemon);
		ck_assert_int_eq(npu_connect(daemon.path, &connection), daemons[i].result);
		if (connection) {
			for (unsigned n = 0; n < 3; n++) /* each answered behind an event of the future */
				ASSERT_NPU(npu_ping(connection));
			npu_disconnect(connection);
		} else {
			ck_assert_str_ne(npu_error(), "");
		}
		client_wait(pid);
		close(daemon.listener);
		unlink(daemon.path);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lifecycle");
	TCase *life = tcase_create("life"), *versions = tcase_create("versions");

	tcase_set_timeout(life, 120);
	tcase_add_test(life, the_programs_start_and_stop_clean);
	tcase_add_test(life, a_daemon_can_be_followed_by_another_on_the_same_device);
	tcase_add_test(life, a_second_instance_on_the_same_socket_or_device_refuses);
	tcase_add_test(life, a_daemon_without_any_device_says_which_and_ends);
	tcase_add_test(life, every_configuration_error_names_its_place);
	suite_add_tcase(suite, life);
	tcase_set_timeout(versions, 120);
	tcase_add_test(versions, a_newer_library_is_served_at_the_daemons_version);
	tcase_add_test(versions, an_older_library_is_served_at_its_own_version);
	tcase_add_test(versions, another_major_version_is_told_so);
	tcase_add_test(versions, the_library_gets_along_with_daemons_of_its_major_version);
	suite_add_tcase(suite, versions);
	return suite_main(suite);
}
