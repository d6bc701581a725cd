/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing a session, and what applications ask of it as a whole. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "libclient/error.h"
#include "libclient/objects.h"

static int open_socket(const char *path, int *out)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval receive = {.tv_sec = NPU_RECEIVE_SLICE_NS / 1000000000};
	struct timeval send = {.tv_sec = NPU_REQUEST_TIMEOUT_NS / 1000000000};

	if (strlen(path) >= sizeof(address.sun_path))
		return npu_fail(-ENAMETOOLONG, "%s: a socket path has at most %zu bytes", path,
				sizeof(address.sun_path) - 1);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return npu_fail(-errno, "cannot make a socket: %s", strerror(errno));
	/* no call blocks for ever in the kernel, whatever the other side does */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive, sizeof(receive)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send, sizeof(send)) ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		int code = errno == EPROTOTYPE ? -EPROTO : -errno;

		(void)close(fd);
		return npu_fail(code, "%s: %s: is npud running, and is this user allowed to use it?", path,
				strerror(-code));
	}
	*out = fd;
	return 0;
}

static int greet(struct npu_connection *connection, const char *path, struct npu_reply *reply)
{
	char name[NPUD_MAX_STRING_BYTES];
	Npud__Hello hello = NPUD__HELLO__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	(void)snprintf(name, sizeof(name), "%s", program_invocation_short_name);
	hello.major = NPUD_PROTOCOL_MAJOR;
	hello.minor = NPUD_PROTOCOL_MINOR;
	hello.client_name = name;
	request.body_case = NPUD__REQUEST__BODY_HELLO;
	request.hello = &hello;
	int rc = npu_link_call(connection, &request, -1, NPUD__REPLY__BODY_HELLO, reply, path);

	if (rc == -EPIPE)
		return npu_fail(-EPROTO, "%s: closed at the greeting: this is not npud, or it takes no more sessions",
				path);
	if (rc)
		return rc;
	if (reply->hello.major != NPUD_PROTOCOL_MAJOR)
		return npu_fail(-EPROTONOSUPPORT, "%s: npud speaks protocol %u, this library %u: update the older one",
				path, reply->hello.major, NPUD_PROTOCOL_MAJOR);
	if (reply->hello.event_credits == 0 || reply->hello.max_frame_bytes < 1024)
		return npu_fail(-EPROTO, "%s: npud grants no credits or frames of %u bytes only", path,
				reply->hello.max_frame_bytes);
	if (reply->hello.device >= NPU_MAX_DEVICES ||
	    (reply->hello.device_count && reply->hello.device >= reply->hello.device_count))
		return npu_fail(-EPROTO, "%s: npud puts this session on device %u of %u", path, reply->hello.device,
				reply->hello.device_count);
	return 0;
}

static uint32_t at_most(uint32_t value, uint32_t limit)
{
	return value < limit ? value : limit;
}

/* What the daemon granted, within what this library can use. */
static int accept_terms(struct npu_connection *connection, const struct npu_reply *reply)
{
	uint32_t credits = at_most(reply->hello.event_credits, NPUD_MAX_INFLIGHT_EVENTS);
	uint32_t groups = reply->hello.max_groups_per_frame;

	connection->minor = at_most(reply->hello.minor, NPUD_PROTOCOL_MINOR);
	connection->max_frame_bytes = at_most(reply->hello.max_frame_bytes, NPUD_MAX_FRAME_BYTES);
	connection->max_groups_per_frame = groups ? at_most(groups, NPUD_MAX_GROUPS_PER_FRAME) : 1;
	connection->device_count = at_most(reply->hello.device_count, NPU_MAX_DEVICES);
	connection->device = reply->hello.device;
	connection->slots = calloc(credits, sizeof(*connection->slots));
	if (!connection->slots)
		return npu_fail(-ENOMEM, "out of memory for %u submissions", credits);
	for (uint32_t i = 0; i < credits; i++)
		connection->slots[i].next = i + 1 < credits ? i + 1 : NPU_NO_SLOT;
	connection->free_slot = 0;
	connection->credits = credits;
	return 0;
}

static struct npu_connection *make(void)
{
	struct npu_connection *connection = calloc(1, sizeof(*connection));
	pthread_condattr_t attributes;

	if (!connection)
		return NULL;
	connection->process = npu_process_number();
	connection->fd = connection->poll_fd = connection->attention_fd = connection->rx_fd = -1;
	connection->max_frame_bytes = NPUD_MAX_FRAME_BYTES;
	connection->free_slot = connection->callback_head = NPU_NO_SLOT;
	connection->report = 1;
	(void)pthread_mutex_init(&connection->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&connection->changed, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	return connection;
}

static void close_fds(struct npu_connection *connection)
{
	if (connection->fd >= 0)
		(void)close(connection->fd);
	if (connection->poll_fd >= 0)
		(void)close(connection->poll_fd);
	if (connection->attention_fd >= 0)
		(void)close(connection->attention_fd);
	connection->fd = connection->poll_fd = connection->attention_fd = -1;
}

static void unmake(struct npu_connection *connection)
{
	close_fds(connection);
	(void)pthread_cond_destroy(&connection->changed);
	(void)pthread_mutex_destroy(&connection->lock);
	free(connection->prints);
	free(connection->slots);
	free(connection);
}

int npu_connect(const char *path, struct npu_connection **out)
{
	struct npu_reply reply;

	npu_error_clear();
	if (!path)
		path = getenv(NPUD_SOCKET_ENV);
	if (!path || !*path)
		path = NPUD_DEFAULT_SOCKET;
	struct npu_connection *connection = make();

	if (!connection)
		return npu_fail(-ENOMEM, "out of memory for a connection");
	int rc = open_socket(path, &connection->fd);

	if (rc == 0)
		rc = greet(connection, path, &reply);
	if (rc == 0)
		rc = accept_terms(connection, &reply);
	if (rc) {
		unmake(connection);
		return rc;
	}
	*out = connection;
	return 0;
}

/* Break the session so that every submission ends, then let the application hear of each. */
static bool end_submissions(struct npu_connection *connection)
{
	(void)pthread_mutex_lock(&connection->lock);
	bool first = !connection->closing;

	connection->closing = true;
	npu_link_break(connection, -ESHUTDOWN, "the connection is being closed");
	(void)pthread_mutex_unlock(&connection->lock);
	if (first)
		npu_tickets_deliver(connection);
	return first;
}

void npu_disconnect(struct npu_connection *connection)
{
	if (!connection)
		return;
	if (npu_link_check(connection)) {
		/* the parent's session goes on; this process only lets go of its copies, its locks are not to be
		 * trusted */
		close_fds(connection);
		return;
	}
	/* a callback that disconnects again finds that it is being done */
	if (!end_submissions(connection))
		return;
	while (connection->graphs) {
		while (connection->graphs->jobs)
			npu_job_drop(connection->graphs->jobs);
		npu_graph_drop(connection->graphs);
	}
	while (connection->queues)
		npu_queue_drop(connection->queues);
	while (connection->fences)
		npu_fence_drop(connection->fences);
	unmake(connection);
}

int npu_ping(struct npu_connection *connection)
{
	Npud__Ping ping = NPUD__PING__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;
	int rc = npu_link_check(connection);

	if (rc)
		return rc;
	request.body_case = NPUD__REQUEST__BODY_PING;
	request.ping = &ping;
	return npu_link_call(connection, &request, -1, NPUD__REPLY__BODY_EMPTY, &reply, "ping");
}

uint32_t npu_device_count(struct npu_connection *connection)
{
	return npu_link_check(connection) ? 0 : connection->device_count;
}

uint32_t npu_device_index(struct npu_connection *connection)
{
	if (npu_link_check(connection))
		return 0;
	(void)pthread_mutex_lock(&connection->lock);
	uint32_t device = connection->device;

	(void)pthread_mutex_unlock(&connection->lock);
	return device;
}

int npu_device_info(struct npu_connection *connection, uint32_t index, struct npu_device_info *info)
{
	Npud__DeviceQuery query = NPUD__DEVICE_QUERY__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;
	int rc = npu_link_check(connection);

	if (rc)
		return rc;
	if (index >= connection->device_count)
		return npu_fail(-ENODEV, "device %u: npud serves %u", index, connection->device_count);
	query.index = index;
	request.body_case = NPUD__REQUEST__BODY_DEVICE_QUERY;
	request.device_query = &query;
	rc = npu_link_call(connection, &request, -1, NPUD__REPLY__BODY_DEVICE_INFO, &reply, "device information");
	if (rc)
		return rc;
	(void)pthread_mutex_lock(&connection->lock);
	connection->device_status[index] = reply.device.status;
	(void)pthread_mutex_unlock(&connection->lock);
	*info = reply.device;
	return 0;
}

/* The socket, and a flag for what another thread has read from it. */
static int make_poll_fd(struct npu_connection *connection)
{
	struct epoll_event event = {.events = EPOLLIN};
	int poll_fd = epoll_create1(EPOLL_CLOEXEC);
	int attention_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (poll_fd < 0 || attention_fd < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, connection->fd, &event) ||
	    epoll_ctl(poll_fd, EPOLL_CTL_ADD, attention_fd, &event)) {
		int code = -errno;

		if (poll_fd >= 0)
			(void)close(poll_fd);
		if (attention_fd >= 0)
			(void)close(attention_fd);
		return npu_fail(code, "cannot make a pollable descriptor: %s", strerror(-code));
	}
	connection->poll_fd = poll_fd;
	connection->attention_fd = attention_fd;
	npu_attention_raise(connection);
	return 0;
}

int npu_fd(struct npu_connection *connection)
{
	int rc = npu_link_check(connection);

	if (rc)
		return rc;
	(void)pthread_mutex_lock(&connection->lock);
	if (connection->poll_fd < 0)
		rc = make_poll_fd(connection);
	int fd = connection->poll_fd;

	(void)pthread_mutex_unlock(&connection->lock);
	return rc ? rc : fd;
}

int npu_dispatch(struct npu_connection *connection)
{
	eventfd_t ignored;
	int rc = npu_link_check(connection);

	if (rc)
		return rc;
	(void)pthread_mutex_lock(&connection->lock);
	if (connection->attention) {
		(void)eventfd_read(connection->attention_fd, &ignored);
		connection->attention = false;
	}
	npu_link_drain(connection);
	int count = (int)connection->unreported;

	connection->unreported = 0;
	connection->report++;
	rc = connection->broken && count == 0 ? npu_link_fail(connection) : 0;
	(void)pthread_mutex_unlock(&connection->lock);
	npu_tickets_deliver(connection);
	return rc ? rc : count;
}

void npu_set_print(struct npu_connection *connection, npu_print_fn print, void *user)
{
	if (npu_link_check(connection))
		return;
	(void)pthread_mutex_lock(&connection->lock);
	if (print && !connection->prints)
		connection->prints = calloc(NPU_PRINT_QUEUE, sizeof(*connection->prints));
	/* without memory for the queue, text is dropped as by default */
	connection->print = connection->prints ? print : NULL;
	connection->print_user = user;
	(void)pthread_mutex_unlock(&connection->lock);
}
