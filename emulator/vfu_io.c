/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing: reads exactly one message at a time, so that descriptors stay with the header they came with, and sends
 * whole messages. It never waits for a client for ever.
 */
#include "emulator/vfu.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "emulator/log.h"

#define VFU_SEND_MS 10000
#define VFU_KERNEL_FDS 253 /* most that one message can carry */

void vfu_inbox_reset(struct vfu_inbox *inbox)
{
	for (unsigned i = 0; i < inbox->fds; i++) {
		if (inbox->fd[i] >= 0)
			(void)close(inbox->fd[i]);
	}
	inbox->fds = 0;
	inbox->too_many_fds = false;
	inbox->header_got = inbox->body_got = inbox->body_bytes = 0;
}

static void vfu_take_fds(struct vfu_inbox *inbox, struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (inbox->fds < VFU_OWN_FDS) {
				inbox->fd[inbox->fds++] = fd;
			} else {
				inbox->too_many_fds = true;
				(void)close(fd);
			}
		}
	}
	if (message->msg_flags & MSG_CTRUNC)
		inbox->too_many_fds = true;
}

static ssize_t vfu_receive_some(struct vfu *vfu, void *data, size_t bytes)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(VFU_KERNEL_FDS * sizeof(int))];
	struct iovec part = {data, bytes};
	struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(vfu->client_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	vfu_take_fds(&vfu->inbox, &message);
	return n;
}

int vfu_receive(struct vfu *vfu)
{
	struct vfu_inbox *inbox = &vfu->inbox;

	while (inbox->header_got < sizeof(inbox->header)) {
		ssize_t n = vfu_receive_some(vfu, (char *)&inbox->header + inbox->header_got,
					     sizeof(inbox->header) - inbox->header_got);
		if (n <= 0)
			return (int)n;
		inbox->header_got += (size_t)n;
		if (inbox->header_got < sizeof(inbox->header))
			continue;
		if (inbox->header.size < sizeof(inbox->header) ||
		    inbox->header.size - sizeof(inbox->header) > VFU_MAX_BODY) {
			emu_log(EMU_LOG_WARN, "message of %u bytes: the stream is lost", inbox->header.size);
			return -EPROTO;
		}
		inbox->body_bytes = inbox->header.size - sizeof(inbox->header);
	}
	while (inbox->body_got < inbox->body_bytes) {
		ssize_t n = vfu_receive_some(vfu, inbox->body + inbox->body_got, inbox->body_bytes - inbox->body_got);
		if (n <= 0)
			return (int)n;
		inbox->body_got += (size_t)n;
	}
	return 1;
}

/* Waits until the client takes more, gives up on it after a while or when the process is told to end. */
static bool vfu_send_wait(struct vfu *vfu)
{
	struct pollfd poll_fd[2] = {{.fd = vfu->client_fd, .events = POLLOUT},
				    {.fd = vfu->control_fd, .events = POLLIN}};
	int n = poll(poll_fd, 2, VFU_SEND_MS);

	if (n < 0)
		return errno == EINTR;
	return n > 0 && !poll_fd[1].revents && !(poll_fd[0].revents & (POLLERR | POLLHUP));
}

void vfu_send(struct vfu *vfu, const struct iovec *part, int parts)
{
	struct iovec left[4];
	struct msghdr message = {.msg_iov = left, .msg_iovlen = (size_t)parts};

	memcpy(left, part, (size_t)parts * sizeof(*part));
	while (message.msg_iovlen && !vfu->dead) {
		ssize_t n = sendmsg(vfu->client_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			vfu->dead = !vfu_send_wait(vfu);
			continue;
		}
		if (n < 0) {
			vfu->dead = true;
			return;
		}
		for (size_t sent = (size_t)n; message.msg_iovlen && sent >= message.msg_iov->iov_len;) {
			sent -= message.msg_iov->iov_len;
			message.msg_iov++;
			message.msg_iovlen--;
			n = (ssize_t)sent;
		}
		if (message.msg_iovlen) {
			message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + n;
			message.msg_iov->iov_len -= (size_t)n;
		}
	}
}
