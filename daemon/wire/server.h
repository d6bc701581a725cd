/* SPDX-License-Identifier: Apache-2.0 */
/* The listening socket and all connections. One per daemon. */
#ifndef NPUD_WIRE_SERVER_H
#define NPUD_WIRE_SERVER_H

#include <event2/event.h>
#include <stdint.h>

#include "daemon/wire/conn.h"
#include "daemon/wire/unpack.h"

struct host;
struct server;

struct server_options {
	const char *path;
	uint32_t mode;
	const char *group; /* "" = unchanged */
	int listen_fd; /* handed over by systemd, or -1: bind `path` */
	uint64_t connections;
	uint64_t connections_per_user;
	uint64_t hello_ms;
};

/* `why` (256 bytes) says what failed. The caller holds the lock of the path. */
int server_new(struct event_base *base, struct host *host, const struct server_options *options, struct server **out,
	       char *why);
/* No new connections; existing ones end. */
void server_stop(struct server *server);
void server_free(struct server *server);

struct host *server_host(struct server *server);
struct event_base *server_base(struct server *server);
struct unpacker *server_unpacker(struct server *server);
uint8_t *server_frame_buffer(struct server *server);
const struct server_options *server_settings(const struct server *server);
struct discarder *server_discarder(struct server *server);
void server_add(struct server *server, struct conn *conn);
/* It has ended, and still counts. */
void server_leaving(struct conn *conn);
/* Its socket is closed: nothing of it is left to count. */
void server_removed(struct conn *conn);
/* Send what is waiting now instead of at the end of the current callback. May end connections. */
void server_flush(struct server *server);
/* This connection has events to send; done at the end of the current callback. */
void server_mark_dirty(struct conn *conn);

#endif
