/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about the session, buffers and totals: from protobuf to core and back. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/core/buffer.h"
#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/log.h"
#include "daemon/util/alloc_count.h"
#include "daemon/wire/request.h"
#include "daemon/wire/server.h"

#define FEATURES 0u
#define MOVES_MINOR 2u /* the first version with SessionMoved */

int reply_empty(struct request *request)
{
	npud__empty__init(&request->body.empty);
	request->reply.body_case = NPUD__REPLY__BODY_EMPTY;
	request->reply.empty = &request->body.empty;
	return 0;
}

static void session_events_ready(void *user)
{
	server_mark_dirty(user);
}

int handle_hello(struct request *request)
{
	static const struct session_hooks hooks = {.events_ready = session_events_ready};
	const Npud__Hello *hello = request->message->hello;
	struct conn *conn = request->conn;
	struct host *host = server_host(conn->server);

	if (conn->session)
		return fail_set(&request->fail, EPROTO, "Hello: this connection has a session already");
	if (hello->major != NPUD_PROTOCOL_MAJOR)
		return fail_set(&request->fail, EPROTONOSUPPORT, "Hello: protocol %u.%u is not spoken here, %u.%u is",
				hello->major, hello->minor, NPUD_PROTOCOL_MAJOR, NPUD_PROTOCOL_MINOR);
	int error = session_open(host, &conn->identity, &hooks, conn, &conn->session, &request->fail);
	if (error < 0)
		return error;
	event_del(&conn->hello);
	session_set_client(conn->session, hello->client_name);
	log_peer_event(conn->identity.uid, LOG_LEVEL_INFO, "session.open", LOG_U64("session", conn->session->id),
		       LOG_U64("uid", conn->identity.uid), LOG_U64("pid", (uint64_t)conn->identity.pid),
		       LOG_STR("client", hello->client_name), LOG_STR("tenant", conn->identity.profile->name));
	Npud__HelloReply *reply = &request->body.hello;
	npud__hello_reply__init(reply);
	reply->major = NPUD_PROTOCOL_MAJOR;
	uint32_t ours = NPUD_PROTOCOL_MINOR;
	conn->minor = hello->minor < ours ? hello->minor : ours;
	reply->minor = conn->minor;
	/* It could not be told, and was promised that there is nothing to tell. */
	conn->session->stays = conn->minor < MOVES_MINOR;
	reply->features = hello->features & FEATURES;
	reply->server_version = (char *)(uintptr_t)NPUD_VERSION;
	reply->session = conn->session->id;
	reply->device_count = host->device_count;
	reply->max_frame_bytes = NPUD_MAX_FRAME_BYTES;
	reply->max_frame_fds = NPUD_MAX_FRAME_FDS;
	reply->max_groups_per_frame = NPUD_MAX_GROUPS_PER_FRAME;
	reply->event_credits = NPUD_MAX_INFLIGHT_EVENTS;
	reply->device = conn->session->device->index;
	request->reply.body_case = NPUD__REPLY__BODY_HELLO;
	request->reply.hello = reply;
	return 0;
}

int handle_ping(struct request *request)
{
	return reply_empty(request);
}

/* ------------------------------------------------------------------ buffers */

int handle_buffer_import(struct request *request)
{
	const Npud__BufferImport *import = request->message->buffer_import;
	struct session *session = request->conn->session;
	struct buffer_request wanted = {
	    .offset = import->offset,
	    .bytes = import->bytes,
	    .align = import->align,
	    .read_only = import->read_only,
	};
	struct buffer *buffer;

	int error = buffer_import(session, request->frame->fds[0], &wanted, &buffer, &request->fail);
	if (error < 0)
		return error;
	(void)frame_take_fd(request->frame);
	Npud__BufferInfo *info = &request->body.buffer_info;
	npud__buffer_info__init(info);
	info->handle = buffer->handle;
	info->iova = buffer->map.iova.v;
	info->npu_address = space_npu_addr(session->space, buffer->map.iova).v;
	request->reply.body_case = NPUD__REPLY__BODY_BUFFER_INFO;
	request->reply.buffer_info = info;
	return 0;
}

int handle_buffer_release(struct request *request)
{
	uint64_t handle = request->message->buffer_release->handle;
	int error = buffer_release_handle(request->conn->session, handle, &request->fail);

	return error < 0 ? error : reply_empty(request);
}

/* ------------------------------------------------------------------ totals */

static uint64_t count_fds(void)
{
	uint64_t count = 0;
	DIR *directory = opendir("/proc/self/fd");

	if (!directory)
		return 0;
	while (readdir(directory))
		count++;
	closedir(directory);
	/* without ".", ".." and the directory's own */
	return count > 3 ? count - 3 : 0;
}

static uint64_t resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	char line[128];
	if (fgets(line, sizeof(line), file)) {
		char *rest = NULL;
		(void)strtoul(line, &rest, 10);
		pages = strtoul(rest, NULL, 10);
	}
	(void)fclose(file);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

int handle_stats_query(struct request *request)
{
	struct host_stats totals;

	uint64_t allocations = alloc_count();
	host_stats_read(server_host(request->conn->server), &totals);
	Npud__Stats *stats = &request->body.stats.stats;
	npud__stats__init(stats);
	stats->sessions = totals.sessions;
	stats->buffers = totals.buffers;
	stats->buffer_bytes = totals.buffer_bytes;
	stats->jobs = totals.jobs;
	stats->submissions = totals.submissions;
	stats->mappings = totals.mappings;
	stats->arena_bytes = totals.arena_bytes;
	stats->tenures = totals.tenures;
	stats->completed = totals.completed;
	stats->unknown_completions = totals.unknown_completions;
	stats->resets = totals.resets;
	stats->aborts = totals.aborts;
	stats->open_fds = count_fds();
	stats->allocations = allocations;
	stats->resident_bytes = resident_bytes();
	stats_add_recovery(request, &request->body.stats);
	request->reply.body_case = NPUD__REPLY__BODY_STATS;
	request->reply.stats = stats;
	return 0;
}
