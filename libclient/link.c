/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader: whichever thread waits first reads the socket for all, the others sleep until something changed. Never
 * runs callbacks, never holds the lock while it blocks.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libclient/connection.h"
#include "libclient/error.h"

int npu_errno_of(Npud__ErrorCode code)
{
	switch (code) {
	case NPUD__ERROR_CODE__ERROR_PROTOCOL:
		return -EPROTO;
	case NPUD__ERROR_CODE__ERROR_VERSION:
		return -EPROTONOSUPPORT;
	case NPUD__ERROR_CODE__ERROR_INVALID:
		return -EINVAL;
	case NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT:
		return -ENOENT;
	case NPUD__ERROR_CODE__ERROR_LIMIT:
		return -ENOSPC;
	case NPUD__ERROR_CODE__ERROR_PERMISSION:
		return -EACCES;
	case NPUD__ERROR_CODE__ERROR_UNSUPPORTED:
		return -ENOTSUP;
	case NPUD__ERROR_CODE__ERROR_BUSY:
		return -EBUSY;
	case NPUD__ERROR_CODE__ERROR_DEVICE_GONE:
		return -ENODEV;
	case NPUD__ERROR_CODE__ERROR_NO_MEMORY:
		return -ENOMEM;
	case NPUD__ERROR_CODE__ERROR_QUARANTINED:
		return -ECANCELED;
	default:
		return -EIO;
	}
}

void npu_link_wake(struct npu_connection *connection)
{
	if (connection->waiting)
		(void)pthread_cond_broadcast(&connection->changed);
}

void npu_link_break(struct npu_connection *connection, int code, const char *reason)
{
	if (connection->broken)
		return;
	connection->broken = code;
	(void)snprintf(connection->broken_reason, sizeof(connection->broken_reason), "%s", reason);
	npu_events_broken(connection);
	npu_attention_raise(connection);
	npu_link_wake(connection);
}

int npu_link_fail(struct npu_connection *connection)
{
	return npu_fail(connection->broken, "%s", connection->broken_reason);
}

/* Apply one received frame, or what receiving said instead. */
static void handle(struct npu_connection *connection, ssize_t received, const Npud__ServerFrame *frame)
{
	char reason[NPUD_MAX_STRING_BYTES];

	if (received == 0) {
		npu_link_break(connection, -EPIPE, "npud closed the connection: reconnect when it is back");
	} else if (received == -ECONNRESET) {
		npu_link_break(connection, -EPIPE, "npud died: reconnect when it is back");
	} else if (received < 0) {
		(void)snprintf(reason, sizeof(reason), "cannot read from npud: %s", strerror((int)-received));
		npu_link_break(connection, -EPIPE, reason);
	} else if (!frame || frame->body_case == NPUD__SERVER_FRAME__BODY__NOT_SET) {
		(void)snprintf(reason, sizeof(reason),
			       "npud sent a frame of %zd bytes that is not of the protocol: library and daemon differ?",
			       received);
		npu_link_break(connection, -EPROTO, reason);
	} else if (frame->body_case == NPUD__SERVER_FRAME__BODY_REPLY) {
		npu_events_reply(connection, frame->reply);
	} else {
		npu_events_event(connection, frame->event);
	}
}

/* With the lock held and nobody collecting: read one frame. 0, or -EAGAIN if none came in `left_ns` or a slice of it.
 */
static int collect(struct npu_connection *connection, int64_t left_ns)
{
	const Npud__ServerFrame *frame = NULL;

	connection->collecting = true;
	(void)pthread_mutex_unlock(&connection->lock);
	ssize_t received = npu_frame_receive(connection, left_ns);

	if (received > 0 && (size_t)received <= NPUD_MAX_FRAME_BYTES)
		frame = npu_frame_decode(connection, (size_t)received);
	(void)pthread_mutex_lock(&connection->lock);
	if (received != -EAGAIN)
		handle(connection, received, frame);
	if (connection->rx_fd >= 0)
		(void)close(connection->rx_fd);
	connection->rx_fd = -1;
	connection->collecting = false;
	npu_link_wake(connection);
	return received == -EAGAIN ? -EAGAIN : 0;
}

/* Sleep until another thread has read something: 0, or -EAGAIN at the deadline. */
static int sleep_until(struct npu_connection *connection, int64_t deadline_ns)
{
	int rc;

	connection->waiting++;
	if (deadline_ns == NPU_NO_DEADLINE) {
		rc = pthread_cond_wait(&connection->changed, &connection->lock);
	} else {
		struct timespec until = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};

		rc = pthread_cond_timedwait(&connection->changed, &connection->lock, &until);
	}
	connection->waiting--;
	return rc ? -EAGAIN : 0;
}

/* Frames that the daemon can have outstanding for us, and some more. */
static uint32_t backlog(const struct npu_connection *connection)
{
	return 2 * connection->credits + NPU_PRINT_QUEUE;
}

int npu_link_wait(struct npu_connection *connection, npu_ready_fn ready, const void *argument, int64_t deadline_ns)
{
	uint32_t late = 0;

	for (;;) {
		if (ready(connection, argument))
			return 0;
		if (connection->broken)
			return connection->broken;
		int64_t left = npu_deadline_left(deadline_ns);

		/* what is already there is still looked at, but the traffic of others cannot keep this call for ever */
		if (left <= 0 && late++ > backlog(connection))
			return -ETIMEDOUT;
		int rc = connection->collecting ? sleep_until(connection, deadline_ns) : collect(connection, left);

		if (rc && left <= 0)
			return ready(connection, argument) ? 0 : -ETIMEDOUT;
	}
}

void npu_link_drain(struct npu_connection *connection)
{
	for (uint32_t i = 0; i < backlog(connection); i++) {
		if (connection->collecting || connection->broken || collect(connection, 0))
			return;
	}
}

static bool is_answered(struct npu_connection *connection, const void *argument)
{
	(void)connection;
	return ((const struct npu_call *)argument)->answered;
}

static void forget_call(struct npu_connection *connection, const struct npu_call *call)
{
	for (struct npu_call **link = &connection->calls; *link; link = &(*link)->next) {
		if (*link == call) {
			*link = call->next;
			return;
		}
	}
}

/* Send and wait; the reply is in call->reply afterwards. */
static int exchange(struct npu_connection *connection, Npud__Request *request, int fd, struct npu_call *call)
{
	(void)pthread_mutex_lock(&connection->lock);
	if (connection->broken) {
		int broken = npu_link_fail(connection);

		(void)pthread_mutex_unlock(&connection->lock);
		return broken;
	}
	/* 1...2^31 - 1: the upper half belongs to submissions, 0 is what the daemon could not read */
	connection->next_serial = connection->next_serial % INT32_MAX + 1;
	call->serial = connection->next_serial;
	call->next = connection->calls;
	connection->calls = call;
	(void)pthread_mutex_unlock(&connection->lock);

	request->serial = call->serial;
	int rc = npu_frame_send(connection, request, fd);

	(void)pthread_mutex_lock(&connection->lock);
	if (rc == 0) {
		rc = npu_link_wait(connection, is_answered, call, npu_deadline(NPU_REQUEST_TIMEOUT_NS));
		if (rc == -ETIMEDOUT)
			npu_link_break(connection, rc, "npud did not answer within 60 s: see its log");
		if (rc)
			rc = npu_link_fail(connection);
	}
	forget_call(connection, call);
	(void)pthread_mutex_unlock(&connection->lock);
	return rc;
}

int npu_link_call(struct npu_connection *connection, Npud__Request *request, int fd, Npud__Reply__BodyCase kind,
		  struct npu_reply *reply, const char *what)
{
	struct npu_call call = {.reply = reply};
	int rc = exchange(connection, request, fd, &call);

	if (rc)
		return rc;
	if (reply->error != NPUD__ERROR_CODE__ERROR_UNSPECIFIED)
		return npu_fail(npu_errno_of(reply->error), "%s: %s", what, reply->message);
	if (reply->kind != kind)
		return npu_fail(-EPROTO, "%s: npud answered with a reply of another kind (%d)", what, (int)reply->kind);
	return 0;
}
