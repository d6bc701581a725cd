/* SPDX-License-Identifier: Apache-2.0 */
/* npud as a service manager starts it: with a listening socket that it inherits, telling when it is ready and stops. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/limits.h"
#include "tests/integration/harness.h"
#include "tests/integration/raw.h"

#define FIRST_FD 3 /* where a service manager passes descriptors */

/* The manager's side. */
struct manager {
	struct harness *harness; /* its own npud is stopped */
	char notify_path[108]; /* $NOTIFY_SOCKET; a leading @ is an abstract one */
	int notify;
};

static struct manager manager_start(bool abstract)
{
	struct manager manager = {.harness = harness_start(NULL)};
	struct harness *harness = manager.harness;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	harness_settle(harness);
	ck_assert_int_eq(kill(harness->npud, SIGTERM), 0);
	ck_assert_int_eq(harness_wait(harness->npud), 0);
	harness_npud_gone(harness);
	ck_assert_int_eq(access(harness->socket, F_OK), -1);
	(void)snprintf(manager.notify_path, sizeof(manager.notify_path), "%s%s/manager", abstract ? "@" : "",
		       harness->directory);
	socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(manager.notify_path));
	memcpy(address.sun_path, manager.notify_path, strlen(manager.notify_path));
	if (abstract)
		address.sun_path[0] = '\0';
	manager.notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(manager.notify, (const struct sockaddr *)&address, bytes), 0);
	return manager;
}

static void manager_stop(struct manager *manager)
{
	close(manager->notify);
	if (manager->notify_path[0] != '@')
		ck_assert_int_eq(unlink(manager->notify_path), 0);
	harness_stop(manager->harness);
}

/* The next notification has this line. */
static void expect_state(const struct manager *manager, const char *state)
{
	struct pollfd pollfd = {.fd = manager->notify, .events = POLLIN};
	char text[256];

	ck_assert_msg(poll(&pollfd, 1, (int)(PATIENCE_NS / 1000000)) == 1, "no %s comes", state);
	ssize_t bytes = recv(manager->notify, text, sizeof(text) - 1, 0);
	ck_assert_int_gt(bytes, 0);
	text[bytes] = '\0';
	ck_assert_str_eq(text, state);
}

/* A socket at npud's path. */
static int make_socket(const struct harness *harness, int type, bool listens)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	strncpy(address.sun_path, harness->socket, sizeof(address.sun_path) - 1);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	if (listens)
		ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

static void set_number(const char *name, long value)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%ld", value);
	if (setenv(name, text, 1))
		_exit(125);
}

/* npud with `fd` passed as `count` descriptors, meant for it or for another process. */
static pid_t spawn_activated(const struct manager *manager, int fd, int count, bool for_it)
{
	const struct harness *harness = manager->harness;
	pid_t parent = getpid();
	char program[4096], log[160];

	(void)snprintf(program, sizeof(program), "%s", harness_program("npud"));
	(void)snprintf(log, sizeof(log), "%s/npud.log", harness->directory);
	(void)fflush(NULL);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent || out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	/* dup2() onto itself would keep close-on-exec */
	if (fd == FIRST_FD ? fcntl(fd, F_SETFD, 0) < 0 : dup2(fd, FIRST_FD) < 0)
		_exit(126);
	(void)close_range(FIRST_FD + 1, ~0u, 0);
	set_number("LISTEN_FDS", count);
	set_number("LISTEN_PID", for_it ? (long)getpid() : (long)parent);
	(void)setenv("NOTIFY_SOCKET", manager->notify_path, 1);
	execl(program, program, "--config", harness->config, (char *)NULL);
	_exit(127);
}

static void end(const struct manager *manager, pid_t pid)
{
	harness_settle(manager->harness);
	ck_assert_int_eq(kill(pid, SIGTERM), 0);
	expect_state(manager, "STOPPING=1");
	ck_assert_int_eq(harness_wait(pid), 0);
}

START_TEST(an_inherited_socket_is_served_and_the_manager_hears_of_it)
{
	struct manager manager = manager_start(_i == 1);
	struct harness *harness = manager.harness;
	int listener = make_socket(harness, SOCK_SEQPACKET, true);

	/* a client that comes before the daemon waits in the socket, and nobody notices */
	int early = raw_connect(harness);
	Npud__Hello hello = NPUD__HELLO__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	hello.major = NPUD_PROTOCOL_MAJOR;
	request.serial = 1;
	request.body_case = NPUD__REQUEST__BODY_HELLO;
	request.hello = &hello;
	ck_assert_int_eq(raw_send(early, &request, -1), 0);
	pid_t pid = spawn_activated(&manager, listener, 1, true);
	expect_state(&manager, "READY=1");
	Npud__ServerFrame *frame = raw_receive(early);
	ck_assert_ptr_nonnull(frame);
	ck_assert_int_eq(frame->reply->body_case, NPUD__REPLY__BODY_HELLO);
	raw_free(frame);
	close(early);
	harness->before = (Npud__Stats){.sessions = 1, .open_fds = UINT64_MAX};
	harness_device_gone(harness); /* descriptors are compared with those of another npud otherwise */
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(16, 2));
	input_of(job)[7] = 40;
	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	ck_assert_uint_eq(output_of(job)[7], 42);
	npu_disconnect(connection);
	end(&manager, pid);
	/* the socket is the manager's: it is still there and takes clients for the next npud */
	close(raw_connect(harness));
	pid = spawn_activated(&manager, listener, 1, true);
	expect_state(&manager, "READY=1");
	connection = harness_connect(harness);
	ASSERT_NPU(npu_ping(connection));
	npu_disconnect(connection);
	end(&manager, pid);
	close(listener);
	ck_assert_int_eq(unlink(harness->socket), 0);
	manager_stop(&manager);
}
END_TEST

enum wrong { WRONG_STREAM, WRONG_NOT_LISTENING, WRONG_FILE, WRONG_COUNT, WRONG_CASES };

static int make_wrong(const struct harness *harness, enum wrong kind)
{
	switch (kind) {
	case WRONG_STREAM:
		return make_socket(harness, SOCK_STREAM, true);
	case WRONG_NOT_LISTENING:
		return make_socket(harness, SOCK_SEQPACKET, false);
	case WRONG_FILE:
		return open(harness->config, O_RDONLY | O_CLOEXEC);
	default:
		return make_socket(harness, SOCK_SEQPACKET, true);
	}
}

START_TEST(something_else_than_one_listener_is_refused_with_the_reason)
{
	struct manager manager = manager_start(false);
	struct harness *harness = manager.harness;
	int fd = make_wrong(harness, (enum wrong)_i);

	ck_assert_int_ge(fd, 0);
	pid_t pid = spawn_activated(&manager, fd, _i == WRONG_COUNT ? 2 : 1, true);
	ck_assert_int_eq(harness_wait(pid), 1);
	char *log = harness_read(harness, "npud.log");
	ck_assert_msg(strstr(log, "the service manager passed something else than one SOCK_SEQPACKET listener") != NULL,
		      "%s", log);
	free(log);
	/* and it never said that it was ready */
	char text[16];
	ck_assert_int_eq(recv(manager.notify, text, sizeof(text), MSG_DONTWAIT), -1);
	close(fd);
	(void)unlink(harness->socket);
	manager_stop(&manager);
}
END_TEST

/* The variables are inherited by whatever a service starts: they count for the process they name. */
START_TEST(a_socket_for_another_process_is_left_alone)
{
	struct manager manager = manager_start(false);
	struct harness *harness = manager.harness;
	int sockets[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	pid_t pid = spawn_activated(&manager, sockets[0], 1, false);
	expect_state(&manager, "READY=1");
	harness->before = (Npud__Stats){.sessions = 1, .open_fds = UINT64_MAX};
	harness_device_gone(harness);
	struct npu_connection *connection = harness_connect(harness); /* at the path of the configuration */
	ASSERT_NPU(npu_ping(connection));
	npu_disconnect(connection);
	end(&manager, pid);
	ck_assert_int_eq(access(harness->socket, F_OK), -1);
	close(sockets[0]);
	close(sockets[1]);
	manager_stop(&manager);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("activation");
	TCase *all = tcase_create("activation");

	tcase_set_timeout(all, 120);
	tcase_add_loop_test(all, an_inherited_socket_is_served_and_the_manager_hears_of_it, 0, 2);
	tcase_add_loop_test(all, something_else_than_one_listener_is_refused_with_the_reason, 0, WRONG_CASES);
	tcase_add_test(all, a_socket_for_another_process_is_left_alone);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
