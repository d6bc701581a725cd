/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfio-user framing: commands, replies and the server's own requests over one stream, each with a deadline. Believes no
 * length, id or count of the peer; a frame that breaks the rules loses the stream, and with it the device.
 */
#include "daemon/vfio/vfu.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void vfu_close_fds(const int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

int vfu_lose(struct vfu *vfu)
{
	if (!vfu->gone) {
		vfu->gone = true;
		/* The server unmaps everything when the connection ends; life_fd wakes our owner. */
		shutdown(vfu->main.fd, SHUT_RDWR);
		if (vfu->twin.fd >= 0)
			shutdown(vfu->twin.fd, SHUT_RDWR);
	}
	return -ENODEV;
}

/* Where the server's own requests come. */
static struct vfu_stream *requests_of(struct vfu *vfu)
{
	return vfu->twin.fd >= 0 ? &vfu->twin : &vfu->main;
}

/* ------------------------------------------------------------------ sending */

static void iov_advance(struct msghdr *msg, size_t done)
{
	while (msg->msg_iovlen > 0 && done >= msg->msg_iov->iov_len) {
		done -= msg->msg_iov->iov_len;
		msg->msg_iov++;
		msg->msg_iovlen--;
	}
	if (msg->msg_iovlen > 0) {
		msg->msg_iov->iov_base = (uint8_t *)msg->msg_iov->iov_base + done;
		msg->msg_iov->iov_len -= done;
	}
}

static int serve_pending(struct vfu *vfu, struct vfu_stream *stream, nsec_t deadline);

/*
 * Send a whole message. Descriptors go with the first byte only. `serve`: the peer may be blocked on a request of its
 * own, so requests are served until the first byte of ours is out (in mid-message a reply could not be sent).
 */
static int send_all(struct vfu *vfu, int fd, struct msghdr *msg, nsec_t deadline, bool serve)
{
	while (msg->msg_iovlen > 0) {
		ssize_t n = sendmsg(fd, msg, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			iov_advance(msg, (size_t)n);
			msg->msg_control = NULL;
			msg->msg_controllen = 0;
			serve = false;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		struct vfu_stream *requests = requests_of(vfu);
		struct pollfd fds[] = {{.fd = fd, .events = POLLOUT}, {.fd = requests->fd, .events = POLLIN}};
		bool pending = serve && vfu_buffered(requests) > 0;
		int rc = pending ? 0 : vfu_wait(fds, serve ? 2 : 1, deadline);
		if (rc == 0 && serve && (pending || fds[1].revents))
			rc = serve_pending(vfu, requests, deadline);
		if (rc)
			return rc;
	}
	return 0;
}

union fd_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * VFU_MAX_MSG_FDS)];
};

static void attach_fd(struct msghdr *msg, union fd_control *control, int fd)
{
	memset(control, 0, sizeof(*control));
	msg->msg_control = control->bytes;
	msg->msg_controllen = CMSG_SPACE(sizeof(int));
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
}

static int send_command(struct vfu *vfu, const struct vfu_call *call, uint16_t id, uint32_t flags, nsec_t deadline)
{
	struct vfu_header header = {.id = id,
				    .command = call->command,
				    .size = (uint32_t)sizeof(header) + call->payload_bytes + call->tail_bytes,
				    .flags = VFU_FLAG_COMMAND | flags};
	struct iovec iov[3] = {{&header, sizeof(header)}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 1};
	union fd_control control;

	if (call->payload_bytes)
		iov[msg.msg_iovlen++] = (struct iovec){(void *)(uintptr_t)call->payload, call->payload_bytes};
	if (call->tail_bytes)
		iov[msg.msg_iovlen++] = (struct iovec){(void *)(uintptr_t)call->tail, call->tail_bytes};
	if (call->fd >= 0)
		attach_fd(&msg, &control, call->fd);
	return send_all(vfu, vfu->main.fd, &msg, deadline, true);
}

/* ------------------------------------------------------------------ receiving */

static int recv_header(struct vfu_stream *stream, struct vfu_header *header, nsec_t deadline)
{
	int rc = vfu_stream_read(stream, header, sizeof(*header), deadline);

	if (rc == 0 && (header->size < sizeof(*header) || header->size - sizeof(*header) > VFU_BODY_BYTES))
		rc = -EPROTO;
	return rc;
}

/* ------------------------------------------------------------------ the server's requests */

static int answer(struct vfu *vfu, int fd, const struct vfu_header *request, int error, uint32_t reply_bytes,
		  nsec_t deadline)
{
	struct vfu_header header = {.id = request->id, .command = request->command, .flags = VFU_FLAG_REPLY};
	struct iovec iov[2] = {{&header, sizeof(header)}, {vfu->request, reply_bytes}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (request->flags & VFU_FLAG_NO_REPLY)
		return 0;
	if (error) {
		header.flags |= VFU_FLAG_ERROR;
		header.error = (uint32_t)error;
		msg.msg_iovlen = 1;
		reply_bytes = 0;
	}
	header.size = (uint32_t)sizeof(header) + reply_bytes;
	return send_all(vfu, fd, &msg, deadline, false);
}

/* Runs the request in vfu->request; 0 or the positive errno to answer, and the length of the answer. */
static int run_request(struct vfu *vfu, const struct vfu_header *header, uint32_t bytes, uint32_t *reply_bytes)
{
	struct vfu_dma_access access;

	if (header->command != VFU_DMA_READ && header->command != VFU_DMA_WRITE)
		return ENOTSUP;
	if (bytes < sizeof(access))
		return EINVAL;
	memcpy(&access, vfu->request, sizeof(access));
	if (access.count == 0)
		return EINVAL;
	if (access.count > VFU_MAX_XFER)
		return E2BIG;
	if (header->command == VFU_DMA_READ) {
		if (bytes != sizeof(access))
			return EINVAL;
		*reply_bytes = (uint32_t)(sizeof(access) + access.count);
		return vfu_dma_access(vfu, access.address, access.count, VFIO_READ, vfu->request + sizeof(access));
	}
	if (bytes - sizeof(access) != access.count)
		return EINVAL;
	*reply_bytes = sizeof(access);
	return vfu_dma_access(vfu, access.address, access.count, VFIO_WRITE, vfu->request + sizeof(access));
}

/* Body and answer of a server request whose header was read. No request of ours carries descriptors. */
static int serve(struct vfu *vfu, struct vfu_stream *stream, const struct vfu_header *header, nsec_t deadline)
{
	uint32_t bytes = header->size - (uint32_t)sizeof(*header), reply_bytes = 0;
	int rc = vfu_stream_read(stream, vfu->request, bytes, deadline);

	(void)vfu_stream_take_fds(stream, NULL);
	if (rc)
		return rc;
	int error = run_request(vfu, header, bytes, &reply_bytes);
	return answer(vfu, stream->fd, header, error, reply_bytes, deadline);
}

/* Something to read while no reply can be on its way: it has to be a request. */
static int serve_pending(struct vfu *vfu, struct vfu_stream *stream, nsec_t deadline)
{
	struct vfu_header header;
	int rc = recv_header(stream, &header, deadline);

	if (rc == 0 && (header.flags & VFU_FLAG_TYPE_MASK) != VFU_FLAG_COMMAND)
		rc = -EPROTO;
	return rc ? rc : serve(vfu, stream, &header, deadline);
}

/* ------------------------------------------------------------------ calls */

/* Everything that the twin has, within the deadline. */
static int serve_twin(struct vfu *vfu, nsec_t deadline)
{
	int rc = 0;

	vfu->twin_pending = false;
	while (rc == 0) {
		rc = vfu_buffered(&vfu->twin) > 0 ? 0 : vfu_stream_try(&vfu->twin);
		if (rc == 0 && nsec_since(deadline, vfu_now()) == 0)
			rc = -ETIMEDOUT;
		if (rc == 0)
			rc = serve_pending(vfu, &vfu->twin, deadline);
	}
	return rc == -EAGAIN ? 0 : rc;
}

/*
 * Waits until the main stream has something. Where the twin has something too, the reply goes first (it may grant the
 * very mapping that the request is about), and the request is the next call's first business.
 */
static int wait_reply(struct vfu *vfu, nsec_t deadline)
{
	struct pollfd fds[] = {{.fd = vfu->main.fd, .events = POLLIN}, {.fd = vfu->twin.fd, .events = POLLIN}};
	int rc = 0;

	while (vfu_buffered(&vfu->main) == 0 && rc == 0) {
		rc = vfu_wait(fds, 2, deadline);
		if (rc)
			break;
		vfu->twin_pending |= fds[1].revents != 0;
		rc = fds[0].revents ? vfu_stream_try(&vfu->main) : serve_twin(vfu, deadline);
		if (rc == -EAGAIN)
			rc = 0;
	}
	return rc;
}

/* Reads frames until the reply to `id` is complete; its body is in vfu->reply. */
static int recv_reply(struct vfu *vfu, struct vfu_call *call, uint16_t id, struct vfu_header *header, nsec_t deadline)
{
	struct vfu_stream *stream = &vfu->main;
	int rc;

	for (;;) {
		rc = wait_reply(vfu, deadline);
		if (rc == 0)
			rc = recv_header(stream, header, deadline);
		if (rc || (header->flags & VFU_FLAG_TYPE_MASK) != VFU_FLAG_COMMAND)
			break;
		rc = serve(vfu, stream, header, deadline);
		if (rc == 0 && nsec_since(deadline, vfu_now()) == 0)
			rc = -ETIMEDOUT; /* requests without end are no reply */
		if (rc)
			break;
	}
	if (rc == 0 && ((header->flags & VFU_FLAG_TYPE_MASK) != VFU_FLAG_REPLY || header->id != id ||
			header->command != call->command))
		rc = -EPROTO;
	if (rc)
		return rc;
	call->reply_bytes = header->size - (uint32_t)sizeof(*header);
	rc = vfu_stream_read(stream, vfu->reply, call->reply_bytes, deadline);
	if (rc == 0 && !(header->flags & VFU_FLAG_ERROR))
		call->reply_fd_count = vfu_stream_take_fds(stream, call->reply_fds);
	else
		(void)vfu_stream_take_fds(stream, NULL);
	return rc;
}

/* An error reply may carry 0 or nonsense; ENODEV is ours alone to say. */
static int server_error(uint32_t error)
{
	return error == 0 || error > 4095 || error == ENODEV ? -EIO : -(int)error;
}

int vfu_call(struct vfu *vfu, struct vfu_call *call)
{
	nsec_t deadline = nsec_add(vfu_now(), vfu->deadline_ns);
	struct vfu_header header;
	uint16_t id = vfu->next_id++;

	call->reply_fd_count = 0;
	if (vfu->gone)
		return -ENODEV;
	int rc = vfu->twin_pending ? serve_twin(vfu, deadline) : 0;
	if (rc == 0)
		rc = send_command(vfu, call, id, 0, deadline);
	if (rc == 0)
		rc = recv_reply(vfu, call, id, &header, deadline);
	if (rc)
		return vfu_lose(vfu);
	return header.flags & VFU_FLAG_ERROR ? server_error(header.error) : 0;
}

int vfu_call_simple(struct vfu *vfu, uint16_t command, const void *payload, uint32_t bytes, void *reply,
		    uint32_t reply_bytes)
{
	struct vfu_call call = {.command = command, .payload = payload, .payload_bytes = bytes, .fd = -1};
	int rc = vfu_call(vfu, &call);

	if (rc)
		return rc;
	vfu_close_fds(call.reply_fds, call.reply_fd_count);
	if (call.reply_bytes != reply_bytes)
		return vfu_lose(vfu);
	if (reply_bytes)
		memcpy(reply, vfu->reply, reply_bytes);
	return 0;
}

int vfu_post(struct vfu *vfu, uint16_t command, const void *payload, uint32_t bytes, const void *tail,
	     uint32_t tail_bytes)
{
	const struct vfu_call call = {.command = command,
				      .payload = payload,
				      .payload_bytes = bytes,
				      .tail = tail,
				      .tail_bytes = tail_bytes,
				      .fd = -1};

	if (vfu->gone)
		return -ENODEV;
	if (send_command(vfu, &call, vfu->next_id++, VFU_FLAG_NO_REPLY, nsec_add(vfu_now(), vfu->deadline_ns)))
		return vfu_lose(vfu);
	return 0;
}
