/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integration/raw.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/limits.h"

int raw_connect(const struct harness *harness)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	strncpy(address.sun_path, harness->socket, sizeof(address.sun_path) - 1);
	ck_assert_msg(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0, "connect: %s",
		      strerror(errno));
	return fd;
}

int raw_send_bytes(int fd, const void *data, size_t bytes, const int *fds, unsigned fd_count)
{
	char control[CMSG_SPACE(sizeof(int) * 16)] = {0};
	struct iovec iov = {(void *)(uintptr_t)data, bytes};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd_count) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fd_count);
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int raw_send(int fd, const Npud__Request *request, int passed_fd)
{
	uint8_t frame[NPUD_MAX_FRAME_BYTES];
	size_t bytes = npud__request__get_packed_size(request);

	ck_assert_uint_le(bytes, sizeof(frame));
	npud__request__pack(request, frame);
	return raw_send_bytes(fd, frame, bytes, &passed_fd, passed_fd >= 0);
}

Npud__ServerFrame *raw_receive(int fd)
{
	uint8_t frame[2 * NPUD_MAX_FRAME_BYTES];
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	ck_assert_msg(poll(&pollfd, 1, (int)(PATIENCE_NS / 1000000)) == 1, "npud neither answers nor hangs up");
	ssize_t bytes = recv(fd, frame, sizeof(frame), 0);
	if (bytes <= 0)
		return NULL;
	ck_assert_uint_le((size_t)bytes, NPUD_MAX_FRAME_BYTES);
	Npud__ServerFrame *message = npud__server_frame__unpack(NULL, (size_t)bytes, frame);
	ck_assert_ptr_nonnull(message);
	return message;
}

void raw_free(Npud__ServerFrame *frame)
{
	if (frame)
		npud__server_frame__free_unpacked(frame, NULL);
}

Npud__ServerFrame *raw_call(int fd, Npud__Request *request, int passed_fd)
{
	static uint32_t serial;

	request->serial = ++serial;
	ck_assert_int_eq(raw_send(fd, request, passed_fd), 0);
	for (;;) {
		Npud__ServerFrame *frame = raw_receive(fd);

		ck_assert_msg(frame != NULL, "npud hung up");
		if (frame->body_case == NPUD__SERVER_FRAME__BODY_REPLY) {
			ck_assert_uint_eq(frame->reply->serial, request->serial);
			return frame;
		}
		raw_free(frame);
	}
}

int raw_open_as(const struct harness *harness, const char *client)
{
	Npud__Hello hello = NPUD__HELLO__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	int fd = raw_connect(harness);

	hello.major = NPUD_PROTOCOL_MAJOR;
	hello.minor = NPUD_PROTOCOL_MINOR;
	hello.client_name = (char *)(uintptr_t)client;
	request.body_case = NPUD__REQUEST__BODY_HELLO;
	request.hello = &hello;
	Npud__ServerFrame *frame = raw_call(fd, &request, -1);
	ck_assert_ptr_null(frame->reply->error);
	ck_assert_int_eq(frame->reply->body_case, NPUD__REPLY__BODY_HELLO);
	raw_free(frame);
	return fd;
}

int raw_open(const struct harness *harness)
{
	return raw_open_as(harness, "test");
}
