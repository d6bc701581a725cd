/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One message, one frame: packs requests into the caller's stack, unpacks what the daemon sends into the connection's
 * arena. Nothing here allocates; nothing here knows what a message means.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "libclient/connection.h"
#include "libclient/error.h"

#define NS_PER_S 1000000000ll

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t npu_deadline(int64_t timeout_ns)
{
	int64_t now = now_ns();

	if (timeout_ns < 0 || timeout_ns > INT64_MAX - 1 - now)
		return NPU_NO_DEADLINE;
	return now + timeout_ns;
}

static ssize_t send_with(int socket, const uint8_t *frame, size_t bytes, int fd)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)frame, .iov_len = bytes};
	struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket, &message, MSG_NOSIGNAL);
}

/* SOCK_SEQPACKET: a frame goes out whole or not at all, so senders need no lock among themselves. */
static int send_frame(int socket, const uint8_t *frame, size_t bytes, int fd)
{
	for (;;) {
		ssize_t sent = fd < 0 ? send(socket, frame, bytes, MSG_NOSIGNAL) : send_with(socket, frame, bytes, fd);

		if (sent >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

int npu_frame_send(struct npu_connection *connection, const Npud__Request *request, int fd)
{
	uint8_t frame[NPUD_MAX_FRAME_BYTES];
	size_t bytes = npud__request__get_packed_size(request);

	if (bytes > connection->max_frame_bytes || bytes > sizeof(frame))
		return npu_fail(-EMSGSIZE, "a request of %zu bytes is over the frame limit of %u", bytes,
				connection->max_frame_bytes);
	bytes = npud__request__pack(request, frame);
	int rc = send_frame(connection->fd, frame, bytes, fd);

	if (rc == -EPIPE || rc == -ECONNRESET)
		return npu_fail(-EPIPE, "npud closed the connection: reconnect when it is back");
	if (rc == -EAGAIN)
		return npu_fail(-ETIMEDOUT, "npud does not read its socket: see its log");
	return rc ? npu_fail(rc, "cannot send to npud: %s", strerror(-rc)) : 0;
}

int64_t npu_deadline_left(int64_t deadline_ns)
{
	return deadline_ns == NPU_NO_DEADLINE ? INT64_MAX : deadline_ns - now_ns();
}

static int take_descriptor(struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

static ssize_t receive_now(struct npu_connection *connection, int flags)
{
	for (;;) {
		/* room for one descriptor: the kernel drops what nobody asked for */
		union {
			struct cmsghdr align;
			uint8_t bytes[CMSG_LEN(sizeof(int))];
		} control;
		struct iovec part = {.iov_base = connection->rx, .iov_len = sizeof(connection->rx)};
		struct msghdr message = {.msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = &control,
					 .msg_controllen = CMSG_LEN(sizeof(int))};
		ssize_t n = recvmsg(connection->fd, &message, flags | MSG_TRUNC | MSG_CMSG_CLOEXEC);

		if (n >= 0) {
			connection->rx_fd = take_descriptor(&message);
			return n;
		}
		if (errno != EINTR)
			return -errno;
	}
}

ssize_t npu_frame_receive(struct npu_connection *connection, int64_t left_ns)
{
	/* far from the deadline, the call that waits is the call that reads */
	if (left_ns > NPU_RECEIVE_SLICE_NS)
		return receive_now(connection, 0);
	ssize_t n = receive_now(connection, MSG_DONTWAIT);

	if (n != -EAGAIN || left_ns <= 0)
		return n;
	struct pollfd poller = {.fd = connection->fd, .events = POLLIN};
	struct timespec timeout = {.tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S};

	/* whatever ends the poll, reading says what there is */
	(void)ppoll(&poller, 1, &timeout, NULL);
	return receive_now(connection, MSG_DONTWAIT);
}

static void *arena_take(void *user, size_t bytes)
{
	struct npu_connection *connection = user;
	size_t at = (connection->arena_used + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);

	if (bytes > NPU_ARENA_BYTES || at > NPU_ARENA_BYTES - bytes)
		return NULL;
	connection->arena_used = at + bytes;
	return connection->arena.bytes + at;
}

static void arena_give(void *user, void *pointer)
{
	(void)user;
	(void)pointer;
}

const Npud__ServerFrame *npu_frame_decode(struct npu_connection *connection, size_t bytes)
{
	ProtobufCAllocator allocator = {.alloc = arena_take, .free = arena_give, .allocator_data = connection};

	connection->arena_used = 0;
	return npud__server_frame__unpack(&allocator, bytes, connection->rx);
}
