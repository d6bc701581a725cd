/* SPDX-License-Identifier: Apache-2.0 */
/* recvmsg and sendmsg, with every descriptor accounted for; see frame.h. */
#include "daemon/wire/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

void frame_close_fds(struct frame *frame)
{
	for (unsigned i = 0; i < frame->fd_count; i++)
		close(frame->fds[i]);
	frame->fd_count = 0;
}

int frame_take_fd(struct frame *frame)
{
	return frame->fd_count ? frame->fds[--frame->fd_count] : -1;
}

/* Alignment may leave room for one more than was asked for, and several control messages may come. */
static void collect_fds(struct frame *frame, struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(0))
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (frame->fd_count < NPUD_MAX_FRAME_FDS) {
				frame->fds[frame->fd_count++] = fd;
			} else {
				message->msg_flags |= MSG_CTRUNC;
				close(fd);
			}
		}
	}
}

int frame_receive(int fd, struct frame *frame)
{
	union {
		char bytes[CMSG_SPACE(NPUD_MAX_FRAME_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec data = {frame->data, NPUD_MAX_FRAME_BYTES};
	struct msghdr message = {
	    .msg_iov = &data,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes),
	};

	frame->bytes = 0;
	frame->fd_count = 0;
	ssize_t bytes = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (bytes < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	collect_fds(frame, &message);
	if (bytes == 0 || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		frame_close_fds(frame);
		if (bytes == 0)
			return 0;
		return message.msg_flags & MSG_TRUNC ? -EMSGSIZE : -EBADMSG;
	}
	frame->bytes = (size_t)bytes;
	return 1;
}

int frame_send(int fd, const uint8_t *data, size_t bytes, int with)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {(void *)(uintptr_t)data, bytes};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (with >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(with));
		memcpy(CMSG_DATA(header), &with, sizeof(with));
	}
	if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	/* Descriptors on their way to clients that do not read are counted together: no reason to keep others waiting.
	 */
	if (errno == ETOOMANYREFS && with >= 0)
		return frame_send(fd, data, bytes, -1);
	return errno == EINTR || errno == EWOULDBLOCK || errno == ENOBUFS ? -EAGAIN : -errno;
}
