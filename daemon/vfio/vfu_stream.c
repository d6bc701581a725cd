/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes and descriptors from a vfio-user peer: as few system calls as a register read can have, and never a wait
 * beyond the deadline. Knows no message.
 */
#include "daemon/vfio/vfu.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

nsec_t vfu_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (nsec_t){(uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec};
}

int vfu_wait(struct pollfd *fds, unsigned count, nsec_t deadline)
{
	for (;;) {
		uint64_t left = nsec_since(deadline, vfu_now());
		struct timespec timeout = {(time_t)(left / 1000000000ull), (long)(left % 1000000000ull)};

		if (left == 0)
			return -ETIMEDOUT;
		int n = ppoll(fds, count, &timeout, NULL);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

void vfu_stream_close(struct vfu_stream *stream)
{
	vfu_close_fds(stream->fds, stream->fd_count);
	stream->fd_count = 0;
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
}

unsigned vfu_stream_take_fds(struct vfu_stream *stream, int fds[VFU_MAX_MSG_FDS])
{
	unsigned count = stream->fd_count;

	stream->fd_count = 0;
	if (fds)
		memcpy(fds, stream->fds, count * sizeof(*fds));
	else
		vfu_close_fds(stream->fds, count);
	return count;
}

/* Takes every descriptor out of a control message; what does not fit has been closed by the kernel (MSG_CTRUNC). */
static void collect_fds(struct vfu_stream *stream, struct msghdr *msg)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (stream->fd_count < VFU_MAX_MSG_FDS)
				stream->fds[stream->fd_count++] = fd;
			else
				close(fd);
		}
	}
}

int vfu_stream_try(struct vfu_stream *stream)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * VFU_MAX_MSG_FDS)];
	} control;

	if (stream->start > 0) {
		memmove(stream->data, stream->data + stream->start, vfu_buffered(stream));
		stream->end -= stream->start;
		stream->start = 0;
	}
	struct iovec iov = {stream->data + stream->end, sizeof(stream->data) - stream->end};
	struct msghdr msg = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(stream->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	collect_fds(stream, &msg);
	if (n == 0)
		return -EPIPE;
	stream->end += (uint32_t)n;
	return msg.msg_flags & MSG_CTRUNC ? -EPROTO : 0;
}

/* Straight into the caller's memory: the rest of a message that is larger than the buffer. */
static int read_direct(const struct vfu_stream *stream, uint8_t *data, size_t bytes, nsec_t deadline)
{
	while (bytes > 0) {
		struct pollfd pollfd = {.fd = stream->fd, .events = POLLIN};
		ssize_t n = recv(stream->fd, data, bytes, MSG_DONTWAIT);

		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n < 0) {
			int rc = vfu_wait(&pollfd, 1, deadline);

			if (rc)
				return rc;
			continue;
		}
		data += n;
		bytes -= (size_t)n;
	}
	return 0;
}

int vfu_stream_read(struct vfu_stream *stream, void *data, size_t bytes, nsec_t deadline)
{
	uint8_t *at = data;

	while (bytes > 0) {
		size_t n = vfu_buffered(stream) < bytes ? vfu_buffered(stream) : bytes;

		memcpy(at, stream->data + stream->start, n);
		stream->start += (uint32_t)n;
		at += n;
		bytes -= n;
		if (bytes == 0)
			break;
		if (bytes > sizeof(stream->data))
			return read_direct(stream, at, bytes, deadline);
		int rc = vfu_stream_try(stream);
		if (rc == -EAGAIN) {
			struct pollfd pollfd = {.fd = stream->fd, .events = POLLIN};

			rc = vfu_wait(&pollfd, 1, deadline);
		}
		if (rc)
			return rc;
	}
	return 0;
}
