/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole server on a real socket with a fake device behind it, and clients that send it what they like. Nothing here
 * waits: turn() lets everything happen that can.
 */
#ifndef NPUD_TESTS_WIRE_BENCH_H
#define NPUD_TESTS_WIRE_BENCH_H

#include <event2/event.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "daemon/wire/server.h"
#include "npud.pb-c.h"
#include "tests/unit/daemon/world.h"

struct bench {
	struct world world;
	struct event_base *base;
	struct server *server;
	char directory[64];
	char path[108];
	uint32_t serial;
};

static inline void bench_open_with(struct bench *bench, uint64_t per_user)
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

static inline void bench_open(struct bench *bench)
{
	bench_open_with(bench, 50);
}

/* Everything that can happen without waiting for somebody else; what is discarded is closed. */
static inline void turn(struct bench *bench)
{
	for (int i = 0; i < 4; i++) {
		(void)event_base_loop(bench->base, EVLOOP_NONBLOCK);
		while (discarder_count(server_discarder(bench->server)) > 0)
			(void)event_base_loop(bench->base, EVLOOP_ONCE);
		world_work(&bench->world);
	}
}

static inline void bench_close(struct bench *bench)
{
	server_free(bench->server);
	world_work(&bench->world);
	event_base_free(bench->base);
	ck_assert_int_eq(access(bench->path, F_OK), -1);
	ck_assert_int_eq(rmdir(bench->directory), 0);
	world_close(&bench->world);
}

static inline int client_open(struct bench *bench)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, bench->path, strlen(bench->path));
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	turn(bench);
	return fd;
}

static inline void send_bytes(int fd, const void *data, size_t bytes, const int *fds, unsigned count)
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
static inline Npud__ServerFrame *receive(int fd)
{
	uint8_t data[NPUD_MAX_FRAME_BYTES];
	ssize_t bytes = recv(fd, data, sizeof(data), MSG_DONTWAIT);

	if (bytes <= 0)
		return NULL;
	Npud__ServerFrame *frame = npud__server_frame__unpack(NULL, (size_t)bytes, data);
	ck_assert_ptr_nonnull(frame);
	return frame;
}

static inline bool is_closed(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static inline void send_request(struct bench *bench, int fd, Npud__Request *request, const int *fds, unsigned count)
{
	uint8_t data[NPUD_MAX_FRAME_BYTES];

	request->serial = ++bench->serial;
	send_bytes(fd, data, npud__request__pack(request, data), fds, count);
}

static inline Npud__ServerFrame *ask(struct bench *bench, int fd, Npud__Request *request, const int *fds,
				     unsigned count)
{
	send_request(bench, fd, request, fds, count);
	turn(bench);
	Npud__ServerFrame *frame = receive(fd);
	ck_assert_ptr_nonnull(frame);
	ck_assert_int_eq(frame->body_case, NPUD__SERVER_FRAME__BODY_REPLY);
	return frame;
}

static inline void drop(Npud__ServerFrame *frame)
{
	npud__server_frame__free_unpacked(frame, NULL);
}

static inline Npud__ErrorCode error_of(Npud__ServerFrame *frame)
{
	Npud__ErrorCode code = frame->reply->error ? frame->reply->error->code : NPUD__ERROR_CODE__ERROR_UNSPECIFIED;

	drop(frame);
	return code;
}

static inline Npud__ErrorCode hello(struct bench *bench, int fd, uint32_t major)
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

static inline Npud__ErrorCode ping(struct bench *bench, int fd)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__Ping body = NPUD__PING__INIT;

	request.body_case = NPUD__REQUEST__BODY_PING;
	request.ping = &body;
	return error_of(ask(bench, fd, &request, NULL, 0));
}

static inline int client(struct bench *bench)
{
	int fd = client_open(bench);

	ck_assert_int_eq(hello(bench, fd, NPUD_PROTOCOL_MAJOR), 0);
	return fd;
}

/* A connection of whom the test likes; the client's end. */
static inline int admit(struct bench *bench, uid_t uid, uint32_t rights, const struct tenant_profile *profile)
{
	const struct session_identity identity = {
	    .uid = uid, .gid = uid, .pid = 4242, .rights = rights, .profile = profile};
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	ck_assert_int_eq(conn_new(bench->server, pair[1], &identity, -1), 0);
	return pair[0];
}

static inline int client_of(struct bench *bench, uid_t uid, uint32_t rights)
{
	int fd = admit(bench, uid, rights, &bench->world.host->options.tenants.fallback);

	ck_assert_int_eq(hello(bench, fd, NPUD_PROTOCOL_MAJOR), 0);
	return fd;
}

/* One that may submit and has these rights, in the version that the test likes; its session is the last that was
 * opened. */
static inline int client_in(struct bench *bench, uint32_t rights, uint32_t minor)
{
	int fd = admit(bench, 1000, RIGHT_BIT(RIGHT_SUBMIT) | rights, &bench->world.host->options.tenants.fallback);
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__Hello body = NPUD__HELLO__INIT;

	body.major = NPUD_PROTOCOL_MAJOR;
	body.minor = minor;
	request.body_case = NPUD__REQUEST__BODY_HELLO;
	request.hello = &body;
	ck_assert_int_eq(error_of(ask(bench, fd, &request, NULL, 0)), 0);
	return fd;
}

#endif
