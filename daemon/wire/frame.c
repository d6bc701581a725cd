/* SPDX-License-Identifier: Apache-2.0 */
/* recvmsg and sendmsg, with every descriptor accounted for; see frame.h. */
#include "daemon/wire/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

int frame_take_fd(struct frame *frame)
{
	return frame->fd_count ? frame->fds[--frame->fd_count] : -1;
}

/* Several control messages may come; the room is for one that is full. */
static void collect_fds(struct frame *frame, struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(0))
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (count > FRAME_MAX_FDS - frame->fd_count)
			count = FRAME_MAX_FDS - frame->fd_count;
		memcpy(frame->fds + frame->fd_count, CMSG_DATA(c), count * sizeof(int));
		frame->fd_count += (unsigned)count;
	}
}

int frame_receive(int fd, struct frame *frame)
{
	union {
		char bytes[CMSG_SPACE(FRAME_MAX_FDS * sizeof(int))];
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
	if (bytes == 0)
		return 0;
	if (message.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	if (message.msg_flags & MSG_CTRUNC || frame->fd_count > NPUD_MAX_FRAME_FDS)
		return -EBADMSG;
	frame->bytes = (size_t)bytes;
	return 1;
}

/* With SO_PASSCRED every message has something to tell, an empty one too: what tells nothing is the end. */
bool frame_shut(int fd)
{
	static const int on = 1;
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	struct msghdr message = {.msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};

	if (shutdown(fd, SHUT_RDWR) < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return false;
	/* There is no room for descriptors: what was looked at stays where it is. */
	return recvmsg(fd, &message, MSG_DONTWAIT | MSG_PEEK) == 0 && message.msg_controllen == 0;
}

static ssize_t send_with(int fd, const uint8_t *data, size_t bytes, int with)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {(void *)(uintptr_t)data, bytes};
	struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(with));
	memcpy(CMSG_DATA(header), &with, sizeof(with));
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int frame_send(int fd, const uint8_t *data, size_t bytes, int with)
{
	ssize_t sent = with < 0 ? send(fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) : send_with(fd, data, bytes, with);

	if (sent >= 0)
		return 0;
	/* Descriptors on their way to clients that do not read are counted together: no reason to keep others waiting.
	 */
	if (errno == ETOOMANYREFS && with >= 0)
		return frame_send(fd, data, bytes, -1);
	return errno == EINTR || errno == EWOULDBLOCK || errno == ENOBUFS ? -EAGAIN : -errno;
}
