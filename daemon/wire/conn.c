/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one connection; see conn.h. Knows framing and order, no request by name. */
#include "daemon/wire/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/util/cleanup.h"
#include "daemon/wire/error.h"
#include "daemon/wire/request.h"
#include "daemon/wire/server.h"

/* After its socket is closed. */
static void conn_free(struct conn *conn)
{
	server_removed(conn);
	free(conn->out);
	free(conn);
}

/* Nothing is being discarded any more. Next is the socket, in which descriptors may wait. */
static void leave(struct conn *conn)
{
	int fd = steal_fd(&conn->fd);

	if (fd >= 0 && !frame_shut(fd)) {
		discard_start(&conn->discard, &fd, 1);
		return;
	}
	if (fd >= 0)
		close(fd);
	conn_free(conn);
}

void conn_close(struct conn *conn, const char *reason)
{
	log_peer_event(conn->identity.uid, LOG_LEVEL_INFO, "session.close",
		       LOG_U64("session", conn->session ? conn->session->id : 0), LOG_U64("uid", conn->identity.uid),
		       LOG_U64("pid", (uint64_t)conn->identity.pid), LOG_STR("reason", reason));
	event_del(&conn->readable);
	event_del(&conn->writable);
	event_del(&conn->hello);
	if (conn->pidfd >= 0) {
		event_del(&conn->exited);
		close(conn->pidfd);
	}
	if (conn->out_fd >= 0)
		close(conn->out_fd);
	list_remove(&conn->dirty);
	if (conn->session)
		session_close(conn->session);
	conn->session = NULL;
	conn->ended = true;
	server_leaving(conn);
	if (discard_is_under_way(&conn->discard))
		(void)frame_shut(conn->fd);
	else
		leave(conn);
}

static void wait_writable(struct conn *conn)
{
	if (!conn->write_armed && event_add(&conn->writable, NULL) == 0)
		conn->write_armed = true;
}

/* For a peer that does not read; the buffer stays, since it will do so again. */
static int keep_reply(struct conn *conn, const uint8_t *data, size_t bytes)
{
	if (!conn->out)
		conn->out = malloc(CONN_OUT_BYTES);
	if (!conn->out)
		return -ENOMEM;
	memcpy(conn->out, data, bytes);
	conn->out_bytes = (uint32_t)bytes;
	return 0;
}

/*
 * 0, or a negative errno when the peer is gone. A reply that does not fit the socket is kept, and reading stops; so it
 * is while something is discarded, and then the reply says that this is done. Takes `with`, a descriptor that goes with
 * it or -1.
 */
static int send_reply(struct conn *conn, Npud__Reply *reply, int with)
{
	_cleanup_close_ int fd = with;
	Npud__ServerFrame frame = NPUD__SERVER_FRAME__INIT;
	uint8_t data[CONN_OUT_BYTES];

	frame.body_case = NPUD__SERVER_FRAME__BODY_REPLY;
	frame.reply = reply;
	size_t bytes = npud__server_frame__get_packed_size(&frame);
	if (bytes > sizeof(data))
		return -EMSGSIZE;
	npud__server_frame__pack(&frame, data);
	bool discarding = discard_is_under_way(&conn->discard);
	int error = discarding ? -EAGAIN : frame_send(conn->fd, data, bytes, fd);
	if (error != -EAGAIN)
		return error;
	error = keep_reply(conn, data, bytes);
	if (error < 0)
		return error;
	conn->out_fd = steal_fd(&fd);
	event_del(&conn->readable);
	if (!discarding)
		wait_writable(conn);
	return 0;
}

static void discard_fds(struct conn *conn, struct frame *frame)
{
	discard_start(&conn->discard, frame->fds, frame->fd_count);
	frame->fd_count = 0;
}

static void on_discarded(struct discard *discard)
{
	struct conn *conn = list_entry(discard, struct conn, discard);

	if (conn->ended)
		leave(conn);
	else
		wait_writable(conn);
}

static int reply_error(struct conn *conn, uint32_t serial, int error, const struct fail *fail)
{
	Npud__Reply reply = NPUD__REPLY__INIT;
	Npud__Error body;

	log_peer_event(conn->identity.uid, error_is_fatal(error) ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "request.failed",
		       LOG_U64("session", conn->session ? conn->session->id : 0), LOG_U64("uid", conn->identity.uid),
		       LOG_STR("error", fail->text));
	error_fill(&body, error, conn->minor, fail);
	reply.serial = serial;
	reply.error = &body;
	/* Who belongs to no tenant is told so once. */
	conn->closing = error_is_fatal(error) || !conn->identity.profile;
	return send_reply(conn, &reply, -1);
}

static int handle_frame(struct conn *conn, struct frame *frame)
{
	struct request request;

	request.conn = conn;
	request.frame = frame;
	request.fail.text[0] = '\0';
	request.fail.limit = NULL;
	request.reply_fd = -1;
	npud__reply__init(&request.reply);
	int error =
	    unpack_request(server_unpacker(conn->server), frame->data, frame->bytes, &request.message, &request.fail);
	uint32_t serial = error < 0 ? 0 : request.message->serial;
	if (error == 0)
		error = request_dispatch(&request);
	discard_fds(conn, frame);
	if (error < 0)
		return reply_error(conn, serial, error, &request.fail);
	request.reply.serial = serial;
	return send_reply(conn, &request.reply, request.reply_fd);
}

static int refuse_frame(struct conn *conn, int error)
{
	struct fail fail;

	if (error == -EMSGSIZE)
		(void)fail_set(&fail, EPROTO, "frame: larger than %u bytes", NPUD_MAX_FRAME_BYTES);
	else
		(void)fail_set(&fail, EPROTO, "frame: more than %u file descriptors, or they could not be received",
			       NPUD_MAX_FRAME_FDS);
	return reply_error(conn, 0, -EPROTO, &fail);
}

/*
 * One frame a turn: who asks waits for the answer, nearly always, so that to look for a second one would be a system
 * call for nothing. What else is there keeps the socket readable, and others get their turn before it.
 */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;
	struct frame frame;

	(void)fd;
	(void)what;
	frame.data = server_frame_buffer(conn->server);
	int result = frame_receive(conn->fd, &frame);
	if (result == -EAGAIN)
		return;
	if (result != 1)
		discard_fds(conn, &frame);
	if (result == -EMSGSIZE || result == -EBADMSG)
		result = refuse_frame(conn, result);
	else if (result == 1)
		result = handle_frame(conn, &frame);
	else
		result = result == 0 ? -ESHUTDOWN : result;
	if (result < 0)
		conn_close(conn, result == -ESHUTDOWN ? "the client closed" : strerror(-result));
	else if (conn->closing && conn->out_bytes == 0)
		conn_close(conn, "protocol error");
}

void conn_pump(struct conn *conn)
{
	uint8_t data[CONN_OUT_BYTES];
	struct session_event event;

	while (conn->session && conn->out_bytes == 0 && !conn->closing) {
		session_peek_event(conn->session, &event);
		if (event.kind == EVENT_NONE)
			return;
		size_t bytes = event_encode(&event, conn->minor, data, sizeof(data));
		int error = bytes ? frame_send(conn->fd, data, bytes, -1) : 0;
		if (error == -EAGAIN) {
			/* It stays where it is: the session's pool is the queue. */
			wait_writable(conn);
			return;
		}
		if (error < 0) {
			conn_close(conn, strerror(-error));
			return;
		}
		session_pop_event(conn->session, &event);
	}
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd;
	(void)what;
	conn->write_armed = false;
	if (conn->out_bytes) {
		int error = frame_send(conn->fd, conn->out, conn->out_bytes, conn->out_fd);
		if (error == -EAGAIN) {
			wait_writable(conn);
			return;
		}
		if (conn->out_fd >= 0)
			close(conn->out_fd);
		conn->out_fd = -1;
		conn->out_bytes = 0;
		if (error < 0 || conn->closing) {
			conn_close(conn, error < 0 ? strerror(-error) : "protocol error");
			return;
		}
		if (event_add(&conn->readable, NULL) < 0) {
			conn_close(conn, "the event loop is out of memory");
			return;
		}
	}
	conn_pump(conn);
}

static void on_exited(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_close(arg, "the process that connected has ended");
}

static void on_hello_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_close(arg, "no Hello in time");
}

int conn_new(struct server *server, int fd, const struct session_identity *identity, int pidfd)
{
	struct event_base *base = server_base(server);
	uint64_t hello_ms = server_settings(server)->hello_ms;
	struct timeval hello = {(time_t)(hello_ms / 1000), (suseconds_t)(hello_ms % 1000) * 1000};
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn) {
		discard_socket(server_discarder(server), identity->uid, fd);
		if (pidfd >= 0)
			close(pidfd);
		return -ENOMEM;
	}
	conn->server = server;
	conn->fd = fd;
	conn->pidfd = pidfd;
	conn->out_fd = -1;
	conn->identity = *identity;
	conn->identity.fds = pidfd >= 0 ? 2 : 1;
	discard_init(&conn->discard, server_discarder(server), identity->uid, on_discarded);
	list_init(&conn->link);
	list_init(&conn->dirty);
	int error = event_assign(&conn->readable, base, fd, EV_READ | EV_PERSIST, on_readable, conn);
	error |= event_assign(&conn->writable, base, fd, EV_WRITE, on_writable, conn);
	error |= evtimer_assign(&conn->hello, base, on_hello_late, conn);
	if (pidfd >= 0)
		error |= event_assign(&conn->exited, base, pidfd, EV_READ, on_exited, conn);
	error |= event_add(&conn->readable, NULL);
	error |= event_add(&conn->hello, &hello);
	if (pidfd >= 0)
		error |= event_add(&conn->exited, NULL);
	server_add(server, conn);
	if (error < 0) {
		conn_close(conn, "the event loop is out of memory");
		return -ENOMEM;
	}
	return 0;
}
