/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attackers who pass descriptors that take for ever to close. A stream whose peer does not read, told to linger, does
 * so for whoever closes it last, without any privilege. A file of FUSE does so for everybody; where there is none, the
 * streams stand for it.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/limits.h"
#include "tests/hostile/scene.h"
#include "tests/integration/raw.h"

#define LINGER_S 1000 /* longer than any test */
#define PER_USER 256u /* limits.connections_per_user, as it is by default */

/* Data under way that nobody will read. Its peer stays open as long as this process, whose end ends the lingering. */
static int lingering(void)
{
	static const char data[65536];
	const struct linger wait = {1, LINGER_S};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, bytes), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, bytes), 0);
	ck_assert_int_ge(accept4(listener, NULL, NULL, SOCK_CLOEXEC), 0);
	close(listener);
	while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &wait, sizeof(wait)), 0);
	return fd;
}

static void send_fds(int fd, const int *fds, unsigned count)
{
	Npud__Ping body = NPUD__PING__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	uint8_t data[64];

	request.body_case = NPUD__REQUEST__BODY_PING;
	request.ping = &body;
	size_t bytes = npud__request__pack(&request, data);
	ck_assert_int_eq(raw_send_bytes(fd, data, bytes, fds, count), 0);
}

static void send_ping(int fd, unsigned count)
{
	int fds[2 * NPUD_MAX_FRAME_FDS];

	for (unsigned i = 0; i < count; i++)
		fds[i] = lingering();
	send_fds(fd, fds, count);
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

static void send_import(int fd, int file)
{
	Npud__BufferImport message = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	message.bytes = 0x1000;
	request.body_case = NPUD__REQUEST__BODY_BUFFER_IMPORT;
	request.buffer_import = &message;
	ck_assert_int_eq(raw_send(fd, &request, file), 0);
}

static void import_one(int fd)
{
	int file = lingering();

	send_import(fd, file);
	close(file);
}

static void ping_with_one(int fd)
{
	send_ping(fd, 1);
}

static void ping_with_all(int fd)
{
	send_ping(fd, NPUD_MAX_FRAME_FDS);
}

static void ping_with_too_many(int fd)
{
	send_ping(fd, 2 * NPUD_MAX_FRAME_FDS);
}

/* Not read any more: the frame before is the last. */
static void leave_one_unread(int fd)
{
	ck_assert_int_eq(raw_send_bytes(fd, "\xff", 1, NULL, 0), 0);
	send_ping(fd, 1);
}

static void (*const ways[])(int fd) = {import_one, ping_with_one, ping_with_all, ping_with_too_many, leave_one_unread};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* The daemon stands still while they are passed: then its copy is the last. */
static int pass_one(struct harness *where, void *user)
{
	const unsigned *way = user;
	int fd = raw_open(where);

	attack_ready();
	if (attack_stay())
		return 1;
	ways[*way](fd);
	attack_ready();
	return attack_stay();
}

static int pass_before_accept(struct harness *where, void *user)
{
	(void)user;
	for (unsigned i = 0; i < PER_USER; i++)
		(void)raw_connect(where);
	attack_ready();
	if (attack_stay())
		return 1;
	send_ping(raw_connect(where), 1);
	attack_ready();
	return attack_stay();
}

static struct accomplice begin_passing(int (*fn)(struct harness *harness, void *user), void *user)
{
	struct accomplice attack = attack_begin(MALLORY, fn, user);
	siginfo_t stopped;

	attack_await(&attack);
	ck_assert_int_eq(kill(harness->npud, SIGSTOP), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)harness->npud, &stopped, WSTOPPED), 0);
	ck_assert_int_eq(write(attack.end, "x", 1), 1);
	attack_await(&attack);
	ck_assert_int_eq(kill(harness->npud, SIGCONT), 0);
	return attack;
}

/* ------------------------------------------------------------------ FUSE */

/* Opens whatever is to be opened, and does not answer when it is closed. */
static void serve_fuse(int fd)
{
	_Alignas(struct fuse_in_header) char request[FUSE_MIN_READ_BUFFER * 2];

	while (read(fd, request, sizeof(request)) >= (ssize_t)sizeof(struct fuse_in_header)) {
		const struct fuse_in_header *in = (const struct fuse_in_header *)(const void *)request;
		struct {
			struct fuse_out_header header;
			union {
				struct fuse_init_out init;
				struct fuse_open_out open;
			} body;
		} out = {.header = {.len = sizeof(out.header), .error = -ENOSYS, .unique = in->unique}};
		if (in->opcode == FUSE_FLUSH || in->opcode == FUSE_FORGET || in->opcode == FUSE_BATCH_FORGET)
			continue;
		if (in->opcode == FUSE_INIT || in->opcode == FUSE_OPEN) {
			bool init = in->opcode == FUSE_INIT;
			out.header.error = 0;
			out.header.len += (uint32_t)(init ? sizeof(out.body.init) : sizeof(out.body.open));
			if (init)
				out.body.init = (struct fuse_init_out){.major = 7, .minor = 31, .max_write = 4096};
		}
		(void)!write(fd, &out, out.header.len);
	}
	_exit(0);
}

/* The one file of a file system, whose server it returns; 0 where that cannot be had. */
static pid_t mount_fuse(const char *path)
{
	char options[96];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return 0;
	(void)snprintf(options, sizeof(options), "fd=%d,rootmode=100666,user_id=0,group_id=0,allow_other", fd);
	pid_t server = mount("npud", path, "fuse", MS_NODEV | MS_NOSUID, options) ? -1 : fork();
	if (server == 0)
		serve_fuse(fd);
	close(fd);
	return server < 0 ? 0 : server;
}

static int pass_fuse(struct harness *where, void *path)
{
	int importer = raw_open(where), pinger = raw_open(where), file = open(path, O_RDWR | O_CLOEXEC);
	const int files[NPUD_MAX_FRAME_FDS] = {file, file, file, file};

	ck_assert_int_ge(file, 0);
	send_import(importer, file);
	send_fds(pinger, files, NPUD_MAX_FRAME_FDS);
	attack_ready();
	return attack_stay();
}

/* True if it could be tried. The end of its server ends every wait. */
static bool attack_with_fuse(void)
{
	char path[] = "/tmp/npud-fuse-XXXXXX";
	int file = mkstemp(path);

	ck_assert_int_ge(file, 0);
	close(file);
	pid_t server = mount_fuse(path);
	if (server) {
		struct accomplice attack = attack_begin(MALLORY, pass_fuse, path);
		attack_await(&attack);
		ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
		scene_innocent_works();
		attack_as(ALICE, innocent_life, NULL);
		ck_assert_int_eq(kill(server, SIGKILL), 0);
		ck_assert_int_eq(harness_wait(server), 128 + SIGKILL);
		attack_end(&attack);
	}
	ck_assert_int_eq(unlink(path), 0);
	return server != 0;
}

/* ------------------------------------------------------------------ the attacks */

START_TEST(attack_close_that_never_returns)
{
	struct accomplice attacks[WAYS + 1];
	unsigned way[WAYS];

	for (unsigned i = 0; i < WAYS; i++) {
		way[i] = i;
		attacks[i] = begin_passing(pass_one, &way[i]);
		scene_innocent_works();
		attack_as(ALICE, innocent_life, NULL);
	}
	for (unsigned i = 0; i < WAYS; i++)
		attack_end(&attacks[i]);
	attacks[WAYS] = begin_passing(pass_before_accept, NULL);
	scene_innocent_works();
	attack_as(ALICE, innocent_life, NULL);
	attack_end(&attacks[WAYS]);
	printf("= files of FUSE were %s\n", attack_with_fuse() ? "among them" : "not to be had");
}
END_TEST

/* The connection that passed it has no answer yet, and what it has sent since is not read. */
static int is_not_read(struct harness *where, void *user)
{
	int fd = raw_open(where);
	Npud__Ping body = NPUD__PING__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	char byte;

	(void)user;
	attack_ready();
	if (attack_stay())
		return 1;
	import_one(fd);
	request.body_case = NPUD__REQUEST__BODY_PING;
	request.ping = &body;
	ck_assert_int_eq(raw_send(fd, &request, -1), 0);
	attack_ready();
	if (attack_stay())
		return 1;
	return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 ? 0 : 2;
}

START_TEST(attack_many_closes_of_one_connection)
{
	struct accomplice attack = begin_passing(is_not_read, NULL);

	scene_innocent_works();
	attack_as(ALICE, innocent_life, NULL);
	attack_end(&attack);
}
END_TEST

START_TEST(attack_stop_of_the_daemon_held_up_by_a_close)
{
	unsigned way = 0;
	scene_start(NULL);
	struct accomplice attack = begin_passing(pass_one, &way);

	scene_innocent_works();
	ck_assert_int_eq(kill(harness->npud, SIGTERM), 0);
	ck_assert_int_eq(harness_wait(harness->npud), 0);
	attack_end(&attack);
	harness_npud_gone(harness);
	harness_npud_again(harness);
	scene_innocent_again();
	scene_stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("close");
	TCase *all = tcase_create("close"), *own = tcase_create("own scene");

	tcase_set_timeout(all, 60);
	tcase_add_checked_fixture(all, scene_setup, scene_stop);
	tcase_add_test(all, attack_close_that_never_returns);
	tcase_add_test(all, attack_many_closes_of_one_connection);
	suite_add_tcase(suite, all);
	tcase_set_timeout(own, 60);
	tcase_add_test(own, attack_stop_of_the_daemon_held_up_by_a_close);
	suite_add_tcase(suite, own);
	return suite_main(suite);
}
