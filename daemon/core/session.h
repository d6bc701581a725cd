/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session: one client connection, the unit of isolation. It owns the client's buffers, jobs and submissions, and what
 * has to be told to the client. It knows no socket: events are pulled by whoever opened it.
 */
#ifndef NPUD_CORE_SESSION_H
#define NPUD_CORE_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/core/address_space.h"
#include "daemon/core/fence.h"
#include "daemon/core/queue.h"
#include "daemon/core/submission.h"
#include "daemon/core/worker.h"
#include "daemon/policy/quarantine.h"
#include "daemon/policy/quota.h"
#include "daemon/policy/rights.h"
#include "daemon/policy/tenants.h"
#include "daemon/util/fail.h"
#include "daemon/util/handles.h"
#include "daemon/util/list.h"

struct buffer;
struct device;
struct host;
struct tenant;

#define SESSION_PRINTS 16u /* that wait for the client */

struct session_print {
	uint64_t submission;
	uint32_t group;
	uint32_t task;
	uint32_t bytes;
	char text[NPUD_MAX_PRINT_BYTES];
};

/* What the kernel says of the peer at accept, and what follows from it; never changes. */
struct session_identity {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	uint32_t rights;
	const struct tenant_profile *profile; /* NULL: nobody knows this peer, and it is refused */
	unsigned fds; /* of the daemon, that its connection takes */
};

struct session_hooks {
	/* There is something to pull. Must not call back into core. */
	void (*events_ready)(void *user);
};

struct session {
	struct host *host;
	struct list link;
	uint64_t id;
	struct tenant *tenant;
	struct quota quota;
	struct quarantine_account offences;
	struct sched_session share;
	struct queue queue; /* of submissions that name no other */
	struct device *device; /* that its memory is mapped for and its jobs run on */
	struct device *seat; /* where it sits from its next submission on: another one while it moves */
	nsec_t seated; /* since when; 0: since it began */
	bool stays; /* its client knows of no moves */
	bool parting; /* it moves when what had come by then has ended */
	uint64_t parting_after; /* the last arrival of that */
	struct session_identity identity;
	char client[NPUD_MAX_CLIENT_BYTES + 1]; /* what it calls itself: printable ASCII */
	const struct session_hooks *hooks; /* NULL once the client is gone */
	void *user;

	struct address_space *space; /* of its own, or shared: spaces.h */
	struct handles buffer_handles;
	struct handles job_handles;
	struct handles queue_handles;
	struct handles fence_handles;
	struct list buffers; /* all that exist, released ones too */
	struct list jobs;
	struct list queues;
	struct list fences; /* struct fence_hold */

	struct submission *pool; /* NPUD_MAX_INFLIGHT_EVENTS, made with the first job */
	struct list free_submissions;
	struct list final; /* ended, the client does not know yet */
	uint32_t active; /* waiting, queued or running */
	uint32_t unreported; /* on the final list */
	uint64_t completed; /* submissions that have ended */
	uint64_t device_ns; /* that they took */
	uint64_t device_before_ns; /* device->counters.used_ns when the session began */

	struct session_print *prints; /* ring, made with the first print */
	uint32_t print_first;
	uint32_t print_count;
	uint64_t prints_dropped;
	bool moved; /* the client has to be told where it sits */
	uint32_t devices_changed; /* bit per device whose state the client has to be told */

	char map_failure[256]; /* why the last job whose memory could not be mapped failed */
	bool closing;
	uint32_t releases; /* of its buffers, that the device or its worker has still to let go of */
	bool reaping; /* the end */
	bool ends_space; /* its space is the worker's, too, and nobody else's */
	bool leaving; /* the same: its table on the device that it moves away from is freed */
	struct work work; /* of these two */
};

int session_open(struct host *host, const struct session_identity *identity, const struct session_hooks *hooks,
		 void *user, struct session **out, struct fail *fail);
/* The client is gone, and its connection closed: nothing of the session runs on, its memory returns as soon as the
 * device cannot reach it. */
void session_close(struct session *session);
/* Whatever the client says. */
void session_set_client(struct session *session, const char *name);
/* Frees a closing session of which nothing is left, or goes on with its move. Call after anything of it ended. */
void session_settle(struct session *session);

/* Everything of it that is not on the device ends. */
void session_drop(struct session *session, enum outcome outcome, const char *reason, nsec_t now);

struct submit_request {
	uint64_t job;
	uint64_t cookie;
	uint64_t budget_ns; /* 0: the default */
	uint64_t queue; /* 0: the session's own */
	uint64_t deadline_ns; /* from now on; 0: none */
	uint32_t core; /* that it has to run on, from 1 on; 0: any */
	bool restartable; /* running it twice, the first time perhaps in part, does no harm */
	bool want_fence;
	const uint64_t *after; /* submissions of this session */
	size_t after_count;
	const uint64_t *fences; /* handles of this session */
	size_t fence_count;
};

struct submit_reply {
	uint64_t submission;
	struct fence_made fence; /* if it was wanted */
};

/* NULL if it never was; one of a later generation has the place if that one was reported. */
struct submission *session_submission(struct session *session, uint64_t id);

int session_submit(struct session *session, const struct submit_request *request, struct submit_reply *reply,
		   struct fail *fail);

/* 0, or -EPERM: the session's tenant may not use the class. */
int session_may_use(const struct session *session, enum sched_class class, struct fail *fail);

/* The numbers of enum CancelState in npud.proto. */
enum cancel_state { CANCEL_QUEUED = 1, CANCEL_RUNNING = 2, CANCEL_FINISHED = 3 };
enum cancel_state session_cancel(struct session *session, uint64_t submission);

/* What the client has to be told next; `kind` 0 = nothing. Valid until session_pop_event(). */
struct session_event {
	enum { EVENT_NONE = 0, EVENT_PRINT, EVENT_DONE, EVENT_MOVED, EVENT_DEVICE } kind;
	const struct session_print *print;
	const struct submission *submission;
	const struct device *device;
};
void session_peek_event(struct session *session, struct session_event *event);
/* The client was told: returns the credit. */
void session_pop_event(struct session *session, const struct session_event *event);

void session_push_print(struct session *session, uint64_t submission, uint32_t group, uint32_t task, const char *text,
			uint32_t bytes);
void session_notify(struct session *session);

/* Made with the first job: submit to completion allocates nothing. */
int session_prepare_pool(struct session *session);

/* Charge, with the failure in words. */
int session_charge_all(struct session *session, const struct quota_amount *amounts, size_t count, struct fail *fail);
int session_charge(struct session *session, enum quota_resource resource, uint64_t amount, struct fail *fail);

#endif
