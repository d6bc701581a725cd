/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon for the library's tests: answers every request on a thread of its own, completes submissions when the test
 * says so, and misbehaves on demand. It has no device and keeps what it was sent for the test to look at.
 */
#ifndef NPUD_TESTS_FAKE_DAEMON_H
#define NPUD_TESTS_FAKE_DAEMON_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <check.h>

#include "npud.pb-c.h"
#include "proto/limits.h"

#define FAKE_MAX 4096

enum fake_mood {
	FAKE_GOOD,
	FAKE_GARBAGE, /* answers a ping with bytes that are no message */
	FAKE_EMPTY, /* ... with a frame that has no body */
	FAKE_OTHER_KIND, /* ... with a reply of another kind */
	FAKE_DIES, /* ... by closing the connection */
	FAKE_SILENT, /* does not answer a ping */
	FAKE_REFUSES, /* refuses submissions: a quota */
	FAKE_DEVICE_GONE, /* refuses submissions: no device */
	FAKE_COMPLETES, /* completes each submission at once, before it answers the submission */
};

struct fake_import {
	int fd;
	uint64_t bytes;
	uint64_t align;
	bool read_only;
	int seals;
	uint64_t allocated;
};

struct fake {
	char directory[32];
	char path[64];
	int listener;
	int fd;
	pthread_t thread;
	atomic_int mood;
	/* terms */
	uint32_t major, minor, devices, device, credits, groups_per_frame, isa, revision, config;
	uint64_t features;
	uint64_t gm_bytes;
	/* what came; the test reads it when the library has had its answer */
	atomic_uint submit_count, release_count, destroy_count;
	uint64_t cookies[FAKE_MAX];
	uint64_t jobs[FAKE_MAX];
	struct fake_import imports[64];
	uint32_t import_count, group_count, frame_count, largest_frame_groups;
	size_t largest_frame;
	Npud__Request *begin, *groups[8];
	Npud__CancelState cancel;
	void (*maps)(struct fake *fake, Npud__Reply *reply, const Npud__MapsQuery *query); /* answers */
	void (*visible)(struct fake *fake, Npud__Reply *reply, const Npud__Request *request); /* the same: 21..23 */
	void (*control)(struct fake *fake, Npud__Reply *reply, const Npud__Request *request); /* 25..27, and 4 then */
};

static inline void fake_send(struct fake *fake, Npud__ServerFrame *frame)
{
	uint8_t bytes[NPUD_MAX_FRAME_BYTES];
	size_t size = npud__server_frame__pack(frame, bytes);

	(void)send(fake->fd, bytes, size, MSG_NOSIGNAL);
}

static inline void fake_event(struct fake *fake, Npud__Event *event)
{
	Npud__ServerFrame frame = NPUD__SERVER_FRAME__INIT;

	frame.body_case = NPUD__SERVER_FRAME__BODY_EVENT;
	frame.event = event;
	fake_send(fake, &frame);
}

static inline void fake_complete(struct fake *fake, uint32_t submission, Npud__Outcome outcome)
{
	Npud__JobDone done = NPUD__JOB_DONE__INIT;
	Npud__Event event = NPUD__EVENT__INIT;

	done.submission = submission + 1;
	done.cookie = fake->cookies[submission];
	done.job = fake->jobs[submission];
	done.outcome = outcome;
	done.device_ns = 1000 + submission;
	done.started = outcome == NPUD__OUTCOME__OUTCOME_DONE;
	if (outcome != NPUD__OUTCOME__OUTCOME_DONE)
		done.message = (char *)(uintptr_t) "as the test wishes";
	event.body_case = NPUD__EVENT__BODY_JOB_DONE;
	event.job_done = &done;
	fake_event(fake, &event);
}

static inline void fake_reply(struct fake *fake, Npud__Reply *reply)
{
	Npud__ServerFrame frame = NPUD__SERVER_FRAME__INIT;

	frame.body_case = NPUD__SERVER_FRAME__BODY_REPLY;
	frame.reply = reply;
	fake_send(fake, &frame);
}

static inline void fake_refuse(struct fake *fake, uint32_t serial, Npud__ErrorCode code, const char *text)
{
	Npud__Reply reply = NPUD__REPLY__INIT;
	Npud__Error error = NPUD__ERROR__INIT;

	reply.serial = serial;
	error.code = code;
	error.message = (char *)(uintptr_t)text;
	reply.error = &error;
	fake_reply(fake, &reply);
}

static inline void fake_hello(struct fake *fake, Npud__Reply *reply)
{
	Npud__HelloReply hello = NPUD__HELLO_REPLY__INIT;

	hello.major = fake->major;
	hello.minor = fake->minor;
	hello.features = fake->features;
	hello.device_count = fake->devices;
	hello.device = fake->device;
	hello.max_frame_bytes = NPUD_MAX_FRAME_BYTES;
	hello.max_frame_fds = NPUD_MAX_FRAME_FDS;
	hello.max_groups_per_frame = fake->groups_per_frame;
	hello.event_credits = fake->credits;
	reply->body_case = NPUD__REPLY__BODY_HELLO;
	reply->hello = &hello;
	fake_reply(fake, reply);
}

/* Only the session's own device is of the kind that was agreed; the others run nothing of it. */
static inline void fake_device(struct fake *fake, Npud__Reply *reply, uint32_t index)
{
	Npud__DeviceInfo info = NPUD__DEVICE_INFO__INIT;

	info.name = (char *)(uintptr_t) "X2_1204MP3";
	info.generation = NPUD__GENERATION__GENERATION_V3;
	info.index = index;
	info.isa = index == fake->device ? fake->isa : 1;
	info.revision = fake->revision;
	info.config = fake->config;
	info.clusters = 1;
	info.cores = 3;
	info.tecs = index == fake->device ? 4 : 1;
	info.gm_bytes = fake->gm_bytes;
	info.status = NPUD__DEVICE_STATUS__DEVICE_READY;
	info.address_window_bytes = NPUD_MAX_BUFFER_BYTES;
	reply->body_case = NPUD__REPLY__BODY_DEVICE_INFO;
	reply->device_info = &info;
	fake_reply(fake, reply);
}

/* Pages that are really there, as the daemon's check for holes sees them. */
static inline uint64_t fake_allocated(int fd, uint64_t bytes)
{
	off_t hole = lseek(fd, 0, SEEK_HOLE);

	return hole < 0 ? 0 : (uint64_t)hole < bytes ? (uint64_t)hole : bytes;
}

static inline void fake_import_buffer(struct fake *fake, Npud__Reply *reply, const Npud__BufferImport *import, int fd)
{
	Npud__BufferInfo info = NPUD__BUFFER_INFO__INIT;

	if (fd < 0 || fake->import_count == 64) {
		fake_refuse(fake, reply->serial, NPUD__ERROR_CODE__ERROR_PROTOCOL, "import without a descriptor");
		return;
	}
	fake->imports[fake->import_count] = (struct fake_import){
	    .fd = fd,
	    .bytes = import->bytes,
	    .align = import->align,
	    .read_only = import->read_only,
	    .seals = fcntl(fd, F_GET_SEALS),
	    .allocated = fake_allocated(fd, import->bytes),
	};
	fake->import_count++;
	info.handle = fake->import_count;
	info.npu_address = fake->import_count << 24;
	info.iova = info.npu_address;
	reply->body_case = NPUD__REPLY__BODY_BUFFER_INFO;
	reply->buffer_info = &info;
	fake_reply(fake, reply);
}

static inline void fake_submit(struct fake *fake, Npud__Reply *reply, const Npud__JobSubmit *submit)
{
	Npud__SubmitInfo info = NPUD__SUBMIT_INFO__INIT;
	uint32_t index = atomic_load(&fake->submit_count);

	if (atomic_load(&fake->mood) == FAKE_REFUSES) {
		fake_refuse(fake, reply->serial, NPUD__ERROR_CODE__ERROR_LIMIT, "tenant: jobs queued 8 of 8");
		return;
	}
	if (atomic_load(&fake->mood) == FAKE_DEVICE_GONE) {
		fake_refuse(fake, reply->serial, NPUD__ERROR_CODE__ERROR_DEVICE_GONE, "device 0 is offline");
		return;
	}
	fake->cookies[index % FAKE_MAX] = submit->cookie;
	fake->jobs[index % FAKE_MAX] = submit->job;
	if (atomic_load(&fake->mood) == FAKE_COMPLETES)
		fake_complete(fake, index % FAKE_MAX, NPUD__OUTCOME__OUTCOME_DONE);
	info.submission = index + 1;
	reply->body_case = NPUD__REPLY__BODY_SUBMIT_INFO;
	reply->submit_info = &info;
	fake_reply(fake, reply);
	atomic_fetch_add(&fake->submit_count, 1);
}

static inline bool fake_ping(struct fake *fake, Npud__Reply *reply)
{
	static const uint8_t garbage[] = {0xff, 0xff, 0xff, 0xff, 0x07, 0x00};

	switch (atomic_load(&fake->mood)) {
	case FAKE_GARBAGE:
		(void)send(fake->fd, garbage, sizeof(garbage), MSG_NOSIGNAL);
		return true;
	case FAKE_EMPTY:
		(void)send(fake->fd, (const uint8_t[]){0x1a, 0x00}, 2, MSG_NOSIGNAL);
		return true;
	case FAKE_OTHER_KIND:
		fake_hello(fake, reply);
		return true;
	case FAKE_DIES:
		return false;
	case FAKE_SILENT:
		return true;
	default:
		fake_reply(fake, reply);
		return true;
	}
}

static inline void fake_groups(struct fake *fake, const Npud__Request *request, size_t frame_bytes)
{
	uint32_t count = (uint32_t)request->job_groups->n_groups;

	if (fake->frame_count < 8) {
		uint8_t bytes[NPUD_MAX_FRAME_BYTES];
		size_t size = npud__request__pack(request, bytes);

		fake->groups[fake->frame_count] = npud__request__unpack(NULL, size, bytes);
	}
	fake->frame_count++;
	fake->group_count += count;
	if (count > fake->largest_frame_groups)
		fake->largest_frame_groups = count;
	if (frame_bytes > fake->largest_frame)
		fake->largest_frame = frame_bytes;
}

/* false: close the connection */
static inline bool fake_answer(struct fake *fake, const Npud__Request *request, size_t frame_bytes, int fd)
{
	Npud__Reply reply = NPUD__REPLY__INIT;
	Npud__Empty empty = NPUD__EMPTY__INIT;
	Npud__JobInfo job = NPUD__JOB_INFO__INIT;
	Npud__CancelInfo cancel = NPUD__CANCEL_INFO__INIT;

	reply.serial = request->serial;
	reply.body_case = NPUD__REPLY__BODY_EMPTY;
	reply.empty = &empty;
	switch (request->body_case) {
	case NPUD__REQUEST__BODY_HELLO:
		fake_hello(fake, &reply);
		return true;
	case NPUD__REQUEST__BODY_PING:
		return fake_ping(fake, &reply);
	case NPUD__REQUEST__BODY_DEVICE_QUERY:
		if (fake->control)
			fake->control(fake, &reply, request);
		else
			fake_device(fake, &reply, request->device_query->index);
		return true;
	case NPUD__REQUEST__BODY_BUFFER_IMPORT:
		fake_import_buffer(fake, &reply, request->buffer_import, fd);
		return true;
	case NPUD__REQUEST__BODY_JOB_SUBMIT:
		fake_submit(fake, &reply, request->job_submit);
		return true;
	case NPUD__REQUEST__BODY_MAPS_QUERY:
		if (!fake->maps)
			return false;
		fake->maps(fake, &reply, request->maps_query);
		return true;
	case NPUD__REQUEST__BODY_PS_QUERY:
	case NPUD__REQUEST__BODY_WHY_QUERY:
	case NPUD__REQUEST__BODY_TIMELINE_QUERY:
		if (!fake->visible)
			return false;
		fake->visible(fake, &reply, request);
		return true;
	case NPUD__REQUEST__BODY_DEVICE_DRAIN:
	case NPUD__REQUEST__BODY_DEVICE_RESET:
	case NPUD__REQUEST__BODY_REGISTERS_QUERY:
		if (!fake->control)
			return false;
		fake->control(fake, &reply, request);
		return true;
	case NPUD__REQUEST__BODY_JOB_GROUPS:
		fake_groups(fake, request, frame_bytes);
		break;
	case NPUD__REQUEST__BODY_JOB_BEGIN:
	case NPUD__REQUEST__BODY_JOB_COMMIT:
		job.job = 77;
		reply.body_case = NPUD__REPLY__BODY_JOB_INFO;
		reply.job_info = &job;
		break;
	case NPUD__REQUEST__BODY_JOB_CANCEL:
		cancel.state = fake->cancel;
		reply.body_case = NPUD__REPLY__BODY_CANCEL_INFO;
		reply.cancel_info = &cancel;
		break;
	case NPUD__REQUEST__BODY_BUFFER_RELEASE:
		atomic_fetch_add(&fake->release_count, 1);
		break;
	case NPUD__REQUEST__BODY_JOB_DESTROY:
		atomic_fetch_add(&fake->destroy_count, 1);
		break;
	default:
		return false;
	}
	fake_reply(fake, &reply);
	return true;
}

static inline bool fake_serve_one(struct fake *fake)
{
	uint8_t bytes[NPUD_MAX_FRAME_BYTES];
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fake->fd, &message, MSG_CMSG_CLOEXEC);
	int fd = -1;

	if (n <= 0)
		return false;
	if (CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	Npud__Request *request = npud__request__unpack(NULL, (size_t)n, bytes);
	bool more = request && fake_answer(fake, request, (size_t)n, fd);

	if (request && request->body_case == NPUD__REQUEST__BODY_JOB_BEGIN && !fake->begin)
		fake->begin = request;
	else
		npud__request__free_unpacked(request, NULL);
	return more;
}

static inline void *fake_main(void *user)
{
	struct fake *fake = user;

	fake->fd = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC);
	while (fake->fd >= 0 && fake_serve_one(fake))
		;
	if (fake->fd >= 0)
		(void)shutdown(fake->fd, SHUT_RDWR);
	return NULL;
}

static inline int fake_listen(const char *path, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	return fd;
}

/* Terms can be changed between the two. */
static inline void fake_init(struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	(void)snprintf(fake->directory, sizeof(fake->directory), "/tmp/npud-fake-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fake->directory));
	(void)snprintf(fake->path, sizeof(fake->path), "%s/npud.sock", fake->directory);
	fake->fd = -1;
	fake->major = NPUD_PROTOCOL_MAJOR;
	fake->devices = 1;
	fake->credits = 8;
	fake->groups_per_frame = NPUD_MAX_GROUPS_PER_FRAME;
	fake->isa = 5;
	fake->config = 1204;
	fake->gm_bytes = 4u << 20;
	fake->cancel = NPUD__CANCEL_STATE__CANCEL_QUEUED;
}

static inline void fake_start(struct fake *fake)
{
	fake->listener = fake_listen(fake->path, SOCK_SEQPACKET);
	ck_assert_int_eq(pthread_create(&fake->thread, NULL, fake_main, fake), 0);
}

/* As if the process died. */
static inline void fake_kill(struct fake *fake)
{
	(void)shutdown(fake->fd, SHUT_RDWR);
}

static inline void fake_stop(struct fake *fake)
{
	(void)shutdown(fake->listener, SHUT_RDWR);
	if (fake->fd >= 0)
		fake_kill(fake);
	ck_assert_int_eq(pthread_join(fake->thread, NULL), 0);
	if (fake->fd >= 0)
		(void)close(fake->fd);
	(void)close(fake->listener);
	for (uint32_t i = 0; i < fake->import_count; i++)
		(void)close(fake->imports[i].fd);
	if (fake->begin)
		npud__request__free_unpacked(fake->begin, NULL);
	for (uint32_t i = 0; i < 8; i++) {
		if (fake->groups[i])
			npud__request__free_unpacked(fake->groups[i], NULL);
	}
	(void)unlink(fake->path);
	(void)rmdir(fake->directory);
}

#endif
