/* SPDX-License-Identifier: Apache-2.0 */
/* Listening, accepting, and who may connect how often. Identity comes from the kernel, never from the client. */
#include "daemon/wire/server.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/core/host.h"
#include "daemon/log.h"
#include "daemon/util/cleanup.h"
#include "daemon/wire/peer.h"
#include "daemon/wire/users.h"

#define WHY_BYTES 256
#define BACKLOG 128
#define ACCEPTS_PER_TURN 16
#define RESUME_US 100000L

struct server {
	struct event_base *base;
	struct host *host;
	struct server_options options;
	struct unpacker *unpacker;
	struct users *users;
	int fd;
	bool bound; /* the path is ours to remove */
	struct event accept;
	struct event resume;
	struct event flush;
	struct list conns;
	struct list leaving; /* conns whose socket is not closed yet */
	struct discarder *discarder;
	struct list dirty;
	uint32_t count;
	bool stopping;
	uint8_t frame[NPUD_MAX_FRAME_BYTES];
};

struct host *server_host(struct server *server)
{
	return server->host;
}

struct event_base *server_base(struct server *server)
{
	return server->base;
}

struct unpacker *server_unpacker(struct server *server)
{
	return server->unpacker;
}

uint8_t *server_frame_buffer(struct server *server)
{
	return server->frame;
}

const struct server_options *server_settings(const struct server *server)
{
	return &server->options;
}

struct discarder *server_discarder(struct server *server)
{
	return server->discarder;
}

void server_add(struct server *server, struct conn *conn)
{
	list_append(&server->conns, &conn->link);
	server->count++;
	users_enter(server->users, conn->identity.uid);
}

void server_leaving(struct conn *conn)
{
	list_remove(&conn->link);
	list_append(&conn->server->leaving, &conn->link);
}

void server_removed(struct conn *conn)
{
	list_remove(&conn->link);
	conn->server->count--;
	users_leave(conn->server->users, conn->identity.uid);
}

void server_mark_dirty(struct conn *conn)
{
	struct server *server = conn->server;

	if (!list_empty(&conn->dirty))
		return;
	list_append(&server->dirty, &conn->dirty);
	event_active(&server->flush, EV_TIMEOUT, 0);
}

void server_flush(struct server *server)
{
	struct list batch;

	/* What closing one connection makes ready waits for the next turn. */
	list_init(&batch);
	list_splice(&batch, &server->dirty);
	while (!list_empty(&batch)) {
		struct conn *conn = list_entry(list_first(&batch), struct conn, dirty);
		list_remove(&conn->dirty);
		conn_pump(conn);
	}
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	server_flush(arg);
}

/* ------------------------------------------------------------------ accept */

static bool may_connect(const struct server *server, uid_t uid)
{
	return server->count < server->options.connections &&
	       users_count(server->users, uid) < server->options.connections_per_user;
}

static void refuse(struct server *server, int fd, uid_t uid, const char *reason)
{
	log_peer_event(uid, LOG_LEVEL_WARN, "connection.refused", LOG_U64("uid", uid),
		       LOG_U64("connections", server->count), LOG_STR("reason", reason));
	discard_socket(server->discarder, uid, fd);
}

static void admit(struct server *server, int fd)
{
	struct session_identity identity;
	bool exact;

	if (peer_credentials(fd, &identity) < 0) {
		discard_socket(server->discarder, (uid_t)-1, fd);
		return;
	}
	if (!may_connect(server, identity.uid)) {
		refuse(server, fd, identity.uid, "limits.connections or limits.connections_per_user is reached");
		return;
	}
	int pidfd = peer_pidfd(fd, identity.pid, &exact);
	if (pidfd == -ESRCH) {
		refuse(server, fd, identity.uid, "the process that connected has ended");
		return;
	}
	peer_identify(fd, exact ? pidfd : -1, &server->host->options, &identity);
	if (conn_new(server, fd, &identity, pidfd) < 0)
		log_peer_event(identity.uid, LOG_LEVEL_ERROR, "connection.failed", LOG_U64("uid", identity.uid));
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
	static const struct timeval pause = {0, RESUME_US};
	struct server *server = arg;

	(void)what;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		bool room = discarder_has_room(server->discarder);
		int fd = room ? accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
		if (fd >= 0) {
			admit(server, fd);
			continue;
		}
		/* Out of descriptors, memory or room: a listener that stays readable would spin. */
		if (!room || (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)) {
			event_del(&server->accept);
			(void)event_add(&server->resume, &pause);
		}
		return;
	}
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;

	(void)fd;
	(void)what;
	if (!server->stopping)
		(void)event_add(&server->accept, NULL);
}

/* ------------------------------------------------------------------ listen */

static int fail_why(char *why, const char *path, const char *what, int error)
{
	if (snprintf(why, WHY_BYTES, "%s: %s: %s", path, what, strerror(error)) < 0)
		why[0] = '\0';
	return -error;
}

static int set_owner(const struct server_options *options, char *why)
{
	if (chmod(options->path, (mode_t)options->mode) < 0)
		return fail_why(why, options->path, "cannot set the mode", errno);
	if (!options->group[0])
		return 0;
	errno = 0;
	const struct group *group = getgrnam(options->group);
	if (!group)
		return fail_why(why, options->path, "socket.group does not exist", errno ? errno : ENOENT);
	if (chown(options->path, (uid_t)-1, group->gr_gid) < 0)
		return fail_why(why, options->path, "cannot set the group", errno);
	return 0;
}

static int bind_socket(const struct server_options *options, int *out, char *why)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t bytes = strlen(options->path);

	if (bytes >= sizeof(address.sun_path))
		return fail_why(why, options->path, "too long for a socket", ENAMETOOLONG);
	memcpy(address.sun_path, options->path, bytes);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail_why(why, options->path, "no socket", errno);
	/* We hold the lock: what lies there is from a daemon that is gone. */
	struct stat old;
	if (lstat(options->path, &old) == 0 && S_ISSOCK(old.st_mode) && unlink(options->path) < 0)
		return fail_why(why, options->path, "cannot remove the old socket", errno);
	mode_t before = umask(0177);
	int result = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	int error = errno;
	umask(before);
	if (result < 0)
		return fail_why(why, options->path, "cannot bind", error);
	error = set_owner(options, why);
	if (error == 0 && listen(fd, BACKLOG) < 0)
		error = fail_why(why, options->path, "cannot listen", errno);
	if (error < 0) {
		unlink(options->path);
		return error;
	}
	*out = steal_fd(&fd);
	return 0;
}

static int watch(struct server *server)
{
	int error = event_assign(&server->accept, server->base, server->fd, EV_READ | EV_PERSIST, on_accept, server);

	error |= evtimer_assign(&server->resume, server->base, on_resume, server);
	error |= event_assign(&server->flush, server->base, -1, 0, on_flush, server);
	return error | event_add(&server->accept, NULL);
}

static void free_parts(struct server *server)
{
	discarder_free(server->discarder);
	unpacker_free(server->unpacker);
	users_free(server->users);
}

static int make_parts(struct server *server, struct event_base *base, uint64_t connections)
{
	int error = users_new(connections, &server->users);

	if (error == 0)
		error = unpacker_new(&server->unpacker);
	if (error == 0)
		error = discarder_new(base, &server->discarder);
	if (error < 0)
		free_parts(server);
	return error;
}

int server_new(struct event_base *base, struct host *host, const struct server_options *options, struct server **out,
	       char *why)
{
	struct server *server = calloc(1, sizeof(*server));

	if (!server || make_parts(server, base, options->connections) < 0) {
		free(server);
		return fail_why(why, options->path, "server", ENOMEM);
	}
	server->base = base;
	server->host = host;
	server->options = *options;
	server->fd = options->listen_fd;
	list_init(&server->conns);
	list_init(&server->leaving);
	list_init(&server->dirty);
	int error = 0;
	if (server->fd < 0) {
		error = bind_socket(options, &server->fd, why);
		server->bound = error == 0;
	}
	if (error < 0) {
		free_parts(server);
		free(server);
		return error;
	}
	if (watch(server) < 0) {
		server_free(server);
		return fail_why(why, options->path, "the event loop is out of memory", ENOMEM);
	}
	*out = server;
	return 0;
}

void server_stop(struct server *server)
{
	if (server->stopping)
		return;
	server->stopping = true;
	event_del(&server->accept);
	event_del(&server->resume);
	while (!list_empty(&server->conns))
		conn_close(list_entry(list_first(&server->conns), struct conn, link), "the daemon stops");
}

void server_free(struct server *server)
{
	if (!server)
		return;
	server_stop(server);
	event_del(&server->flush);
	if (server->bound)
		unlink(server->options.path);
	if (server->fd >= 0)
		close(server->fd);
	free_parts(server);
	free(server);
}
