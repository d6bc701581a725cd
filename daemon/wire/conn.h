/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client connection: frames in, one reply per request out, events when there are any. Reads nothing while a reply
 * cannot be sent, so that the client's own unread replies are what stops it; nor while descriptors that it passed are
 * being closed, which it can make last.
 */
#ifndef NPUD_WIRE_CONN_H
#define NPUD_WIRE_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/session.h"
#include "daemon/util/list.h"
#include "daemon/wire/discard.h"

struct server;

#define CONN_OUT_BYTES 4096u /* the largest reply or event */

struct conn {
	struct list link; /* server->conns, or server->leaving when it has ended */
	struct list dirty; /* server->dirty, when events wait */
	struct server *server;
	int fd;
	int pidfd; /* negative: only its socket says when the client is gone */
	struct session_identity identity;
	struct session *session; /* after Hello */
	uint32_t minor; /* the version that was agreed */
	struct event readable;
	struct event writable;
	struct event exited;
	struct event hello;
	bool write_armed;
	bool closing; /* after the pending reply */
	bool ended; /* waits for what is discarded, which counts as a connection until then */
	struct discard discard; /* what came along and was refused; at the end, the socket */
	uint32_t out_bytes; /* a reply that the socket did not take */
	int out_fd; /* that goes with it, or -1 */
	uint8_t *out; /* that reply: a connection that says nothing costs no buffer */
};

/* Takes `fd` in every case. */
int conn_new(struct server *server, int fd, const struct session_identity *identity, int pidfd);
/*
 * The session ends now. The connection is freed when everything that was the client's is closed: at once, if no
 * descriptors of his are left.
 */
void conn_close(struct conn *conn, const char *reason);
/* Sends what the session has to say, as far as the socket takes it. */
void conn_pump(struct conn *conn);

#endif
