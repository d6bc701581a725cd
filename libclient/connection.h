/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session with npud as the library sees it: one socket, requests matched to replies by serial, submissions matched
 * to completions by ticket. One thread at a time reads the socket for all; `lock` guards every field below it.
 */
#ifndef NPU_CLIENT_CONNECTION_H
#define NPU_CLIENT_CONNECTION_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libclient/include/npu/npu.h"
#include "libclient/device.h"
#include "libclient/maps.h"
#include "libclient/ps.h"
#include "libclient/timeline.h"
#include "libclient/why.h"
#include "npud.pb-c.h"
#include "proto/limits.h"

#define NPU_NO_SLOT UINT32_MAX
#define NPU_MAX_DEVICES 16u
#define NPU_PRINT_QUEUE 64u
#define NPU_REQUEST_TIMEOUT_NS 60000000000ll
#define NPU_RECEIVE_SLICE_NS 1000000000ll /* SO_RCVTIMEO */
#define NPU_ARENA_BYTES (64u << 10)

/* A fence as the daemon describes it. */
struct npu_fence_reply {
	uint64_t handle;
	enum npu_fence_state state;
	uint8_t token[NPU_FENCE_TOKEN_BYTES];
	bool has_token;
	int fd; /* that came with it, or -1 */
};

/* What a reply carried: copied out of the frame, so that nothing of it outlives the reader's buffer. */
struct npu_reply {
	Npud__Reply__BodyCase kind;
	Npud__ErrorCode error; /* UNSPECIFIED: none */
	char message[NPUD_MAX_ERROR_TEXT + NPUD_MAX_STRING_BYTES];
	union {
		struct {
			uint32_t major, minor, device_count, device;
			uint32_t max_frame_bytes, max_groups_per_frame, event_credits;
			uint64_t features;
		} hello;
		struct {
			struct npu_device_info device;
			struct npu_device_usage usage;
		};
		struct {
			uint64_t handle;
			uint64_t iova;
			uint32_t npu_address;
		} buffer;
		uint64_t job;
		struct {
			uint64_t submission;
			struct npu_fence_reply fence;
		} submit;
		uint64_t queue;
		struct npu_fence_reply fence;
		struct npu_maps_page maps;
		struct npu_ps_page ps;
		struct npu_why why;
		struct npu_timeline_page timeline;
		struct npu_registers_page registers;
		Npud__CancelState cancel;
	};
};

/* A thread waiting for its reply; on that thread's stack. */
struct npu_call {
	uint32_t serial;
	bool answered;
	struct npu_reply *reply;
	struct npu_call *next;
};

/* A submission, from npu_job_submit() until its ticket is released. */
struct npu_slot {
	uint64_t ticket; /* 0: free */
	uint32_t generation;
	uint32_t serial;
	uint32_t next; /* free list, or queue of callbacks */
	bool answered; /* the daemon accepted or refused it */
	bool done;
	int refusal; /* negative errno: the daemon refused it */
	uint64_t submission; /* the daemon's name, 0 until known */
	uint64_t report; /* of which npu_dispatch() report it is part */
	struct npu_job *job;
	npu_done_fn callback;
	void *user;
	struct npu_result result;
};

struct npu_print {
	struct npu_job *job;
	uint32_t group, task;
	char text[NPUD_MAX_PRINT_BYTES + 1];
};

struct npu_connection {
	unsigned process; /* of the process that connected: see npu_link_check() */
	int fd;
	uint32_t minor; /* the version that was agreed */
	uint32_t device_count;
	uint32_t device; /* the one that this session sits on */
	uint32_t max_frame_bytes;
	uint32_t max_groups_per_frame;
	uint32_t credits;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint32_t waiting; /* threads in pthread_cond_*wait */
	bool collecting; /* a thread reads the socket; it alone uses rx and arena */
	bool closing; /* npu_disconnect() has begun */
	int broken; /* negative errno: nothing can be sent or received any more */
	char broken_reason[NPUD_MAX_ERROR_TEXT];
	uint32_t next_serial;
	struct npu_call *calls;

	struct npu_slot *slots;
	uint32_t free_slot;
	uint32_t used_slots;
	uint32_t callback_head, callback_tail;
	uint32_t unreported; /* completions that no npu_dispatch() has returned */
	uint64_t report;

	struct npu_print *prints; /* NPU_PRINT_QUEUE of them once somebody wants them */
	uint32_t print_head, print_count;
	npu_print_fn print;
	void *print_user;

	int poll_fd; /* -1 until npu_fd() */
	int attention_fd; /* makes poll_fd readable for what another thread has read */
	bool attention;

	enum npu_device_status device_status[NPU_MAX_DEVICES];
	uint32_t device_news[NPU_MAX_DEVICES]; /* times that the daemon told of it */
	struct npu_graph *graphs;
	struct npu_queue *queues;
	struct npu_fence *fences;

	int rx_fd; /* came with the frame in rx, or -1 */
	uint8_t rx[NPUD_MAX_FRAME_BYTES + 1];
	union {
		max_align_t align;
		uint8_t bytes[NPU_ARENA_BYTES];
	} arena;
	size_t arena_used;
};

/* --- process.c: fork-safety */

/* 0, or -EOWNERDEAD with a reason when this process is a forked child of the owner. */
int npu_link_check(const struct npu_connection *connection);

#define NPU_QUEUES_MINOR 2u
#define NPU_VISIBLE_MINOR 2u
#define NPU_CONTROL_MINOR 3u
/* The same, or -ENOTSUP when the daemon is older than this minor version of the protocol. */
int npu_link_check_minor(const struct npu_connection *connection, uint32_t minor, const char *what);
unsigned npu_process_number(void);

/* --- frame.c: bytes and messages */

/* Pack and send; `fd` < 0 for none. Any thread, no lock held. */
int npu_frame_send(struct npu_connection *connection, const Npud__Request *request, int fd);

/* Receive one frame into rx, and what came with it into rx_fd: its length, 0 at end of stream, -EAGAIN nothing in that
 * time or in a slice of it. */
ssize_t npu_frame_receive(struct npu_connection *connection, int64_t left_ns);

/* Decode rx. NULL if it is not a frame of the protocol. Valid until the next call. */
const Npud__ServerFrame *npu_frame_decode(struct npu_connection *connection, size_t bytes);

/* --- link.c: the reader */

#define NPU_NO_DEADLINE INT64_MAX
int64_t npu_deadline(int64_t timeout_ns);
int64_t npu_deadline_left(int64_t deadline_ns);

typedef bool (*npu_ready_fn)(struct npu_connection *connection, const void *argument);

/* With the lock held: read or wait until ready(), broken (its errno), or the deadline (-ETIMEDOUT). */
int npu_link_wait(struct npu_connection *connection, npu_ready_fn ready, const void *argument, int64_t deadline_ns);

/* With the lock held: something changed that another thread may wait for. */
void npu_link_wake(struct npu_connection *connection);

/* With the lock held: read what is there, without blocking. */
void npu_link_drain(struct npu_connection *connection);

/* With the lock held: nothing goes any more. Wakes everybody. */
void npu_link_break(struct npu_connection *connection, int code, const char *reason);

/* Fail with the reason why the connection is broken. */
int npu_link_fail(struct npu_connection *connection);

/* Send a request and wait for its reply, which must be of `kind`; `what` starts the reason if it fails. */
int npu_link_call(struct npu_connection *connection, Npud__Request *request, int fd, Npud__Reply__BodyCase kind,
		  struct npu_reply *reply, const char *what);

int npu_errno_of(Npud__ErrorCode code);

/* --- events.c: what the daemon tells; all with the lock held */

void npu_events_reply(struct npu_connection *connection, const Npud__Reply *reply);
void npu_events_event(struct npu_connection *connection, const Npud__Event *event);
void npu_events_broken(struct npu_connection *connection);

/* --- tickets.c: submissions */

struct npu_slot *npu_slot_of(struct npu_connection *connection, uint64_t ticket);
struct npu_slot *npu_slot_take(struct npu_connection *connection);
void npu_slot_release(struct npu_connection *connection, struct npu_slot *slot);
void npu_slot_complete(struct npu_connection *connection, struct npu_slot *slot);

/* No lock held: run the callbacks that are due. */
void npu_tickets_deliver(struct npu_connection *connection);

/* With the lock held: make poll_fd readable if somebody polls it and there is something to dispatch. */
void npu_attention_raise(struct npu_connection *connection);

#endif
