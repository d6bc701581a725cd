/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and ending sessions, and what the client has to be told. */
#include "daemon/core/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/buffer.h"
#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/job.h"
#include "daemon/core/move.h"
#include "daemon/core/offence.h"
#include "daemon/core/spaces.h"
#include "daemon/core/tenant.h"
#include "daemon/util/clock.h"

int session_charge_all(struct session *session, const struct quota_amount *amounts, size_t count, struct fail *fail)
{
	struct quota_violation violation;

	if (quota_charge_all(&session->quota, amounts, count, &violation) == 0)
		return 0;
	if (violation.owner == session->host->quota.owner)
		return fail_capacity(fail, quota_resource_name(violation.resource), violation.owner, violation.used,
				     violation.maximum);
	return fail_limit(fail, quota_resource_name(violation.resource), violation.owner, violation.used,
			  violation.maximum, "release what is not needed or ask the operator to raise it");
}

int session_charge(struct session *session, enum quota_resource resource, uint64_t amount, struct fail *fail)
{
	const struct quota_amount one = {resource, amount};

	return session_charge_all(session, &one, 1, fail);
}

/* ------------------------------------------------------------------ open and close */

static void session_init(struct session *session, struct host *host, struct tenant *tenant)
{
	list_init(&session->link);
	list_init(&session->buffers);
	list_init(&session->jobs);
	list_init(&session->queues);
	list_init(&session->fences);
	list_init(&session->free_submissions);
	list_init(&session->final);
	session->host = host;
	session->tenant = tenant;
	quota_init(&session->quota, NULL, &tenant->quota, NULL);
	handles_init(&session->buffer_handles, NPUD_MAX_BUFFERS_PER_SESSION);
	handles_init(&session->job_handles, NPUD_MAX_JOBS_PER_SESSION);
	handles_init(&session->queue_handles, NPUD_MAX_QUEUES_PER_SESSION);
	handles_init(&session->fence_handles, NPUD_MAX_FENCES_PER_SESSION);
}

static void share_open(struct session *session)
{
	struct host *host = session->host;

	session->share = (struct sched_session){
	    .tenant = &session->tenant->share,
	    .id = session->id,
	    .device = session->device->index,
	    .space = session->space->id,
	    .weight = SCHED_DEFAULT_WEIGHT,
	};
	host->options.scheduler->session_open(host->sched, &session->share);
	queue_init(&session->queue, session);
}

static void share_close(struct session *session)
{
	struct host *host = session->host;

	list_each (node, next, &session->queues)
		queue_free(list_entry(node, struct queue, link));
	queue_fini(&session->queue);
	host->options.scheduler->session_close(host->sched, &session->share);
}

static int session_enter(struct session *session, struct fail *fail)
{
	struct host *host = session->host;

	session->device = host_pick_device(host);
	if (!session->device)
		return fail_set(fail, ENODEV, "session: this daemon serves no device");
	/* The connection's descriptors, too: before, limits.connections and hello_ms bound them. */
	const struct quota_amount entry[] = {{QUOTA_SESSIONS, 1}, {QUOTA_FDS, session->identity.fds}};
	int error = session_charge_all(session, entry, 2, fail);
	if (error < 0)
		return error;
	const struct device *device = session->device;
	error = spaces_join(session);
	if (error < 0) {
		quota_release_all(&session->quota, entry, 2);
		return fail_set(fail, -error, "session: no address space on device %s: %s", device->name,
				strerror(-error));
	}
	session->id = ++host->next_session;
	session->seat = session->device;
	session->seat->sessions++;
	session->device_before_ns = device->counters.used_ns;
	share_open(session);
	host->session_count++;
	list_append(&host->sessions, &session->link);
	return 0;
}

int session_open(struct host *host, const struct session_identity *identity, const struct session_hooks *hooks,
		 void *user, struct session **out, struct fail *fail)
{
	struct tenant *tenant;

	if (!identity->profile)
		return fail_set(fail, EPERM,
				"session: user %u is in no tenant; ask the operator to add one to tenants in npud.json",
				identity->uid);
	int error = tenant_get(host, identity->profile, identity->uid, &tenant);
	if (error < 0)
		return fail_set(fail, -error, "session: no memory");
	struct session *session = calloc(1, sizeof(*session));
	if (!session) {
		tenant_put(host, tenant);
		return fail_set(fail, ENOMEM, "session: no memory");
	}
	session_init(session, host, tenant);
	session->identity = *identity;
	session->hooks = hooks;
	session->user = user;
	error = session_enter(session, fail);
	if (error < 0) {
		free(session);
		tenant_put(host, tenant);
		return error;
	}
	*out = session;
	return 0;
}

void session_set_client(struct session *session, const char *name)
{
	size_t bytes = strnlen(name, NPUD_MAX_CLIENT_BYTES);

	for (size_t i = 0; i < bytes; i++)
		session->client[i] = name[i] >= ' ' && name[i] <= '~' ? name[i] : '?';
	session->client[bytes] = '\0';
}

static void reap_run(struct work *work)
{
	struct session *session = list_entry(work, struct session, work);

	if (!session->ends_space)
		return;
	device_free_space(session->device, session->space);
	address_space_fini(session->space);
}

static void reap_done(struct work *work)
{
	struct session *session = list_entry(work, struct session, work);
	struct host *host = session->host;

	share_close(session);
	device_forget_holder(session->device, session);
	/* Those that left it before have ended: the ends of sessions are told in order. */
	if (session->ends_space)
		spaces_free(session);
	host->session_count--;
	session->seat->sessions--;
	list_remove(&session->link);
	session->device->departures--;
	quota_release(&session->quota, QUOTA_SESSIONS, 1);
	tenant_put(host, session->tenant);
	handles_fini(&session->buffer_handles);
	handles_fini(&session->job_handles);
	handles_fini(&session->queue_handles);
	handles_fini(&session->fence_handles);
	free(session->prints);
	free(session->pool);
	free(session);
}

/* Nothing of it was ever the device's, and what it leaves is the daemon's own memory, whose return does not block. */
static bool is_bare(const struct session *session)
{
	return !session->space->memory && !session->space->io;
}

static void bare_done(struct work *work)
{
	reap_run(work);
	reap_done(work);
}

void session_settle(struct session *session)
{
	if (!session->closing) {
		if (move_is_pending(session))
			move_continue(session);
		return;
	}
	if (session->reaping || session->leaving || session->active || !list_empty(&session->buffers) ||
	    !list_empty(&session->jobs))
		return;
	bool bare = is_bare(session);
	if (!bare && !spaces_have_others(session) && device_holds(session->device, session))
		return;
	session->reaping = true;
	session->ends_space = spaces_leave(session);
	/* What the device is busy with is no concern of it: who connects only to ask something is gone at once. */
	if (bare || !session->ends_space) {
		session->work.done = bare_done;
		worker_report(session->device->worker, &session->work);
		return;
	}
	device_leave_space(session->device, session);
	session->work.run = reap_run;
	session->work.done = reap_done;
	worker_submit(session->device->worker, &session->work);
}

static int by_arrival(const void *a, const void *b)
{
	uint64_t left = (*(struct submission *const *)a)->item.arrival;
	uint64_t right = (*(struct submission *const *)b)->item.arrival;

	return (left > right) - (left < right);
}

void session_drop(struct session *session, enum outcome outcome, const char *reason, nsec_t now)
{
	struct submission *here[NPUD_MAX_INFLIGHT_EVENTS];
	size_t count = 0;

	for (uint32_t i = 0; session->pool && i < NPUD_MAX_INFLIGHT_EVENTS; i++)
		if (session->pool[i].state == SUBMISSION_WAITING || session->pool[i].state == SUBMISSION_QUEUED)
			here[count++] = &session->pool[i];
	qsort(here, count, sizeof(here[0]), by_arrival);
	for (size_t i = 0; i < count; i++)
		submission_drop(here[i], outcome, reason, now);
}

static void end_submissions(struct session *session)
{
	for (uint32_t i = 0; session->pool && i < NPUD_MAX_INFLIGHT_EVENTS; i++)
		if (session->pool[i].state == SUBMISSION_RUNNING)
			session->pool[i].cancel_wanted = true;
	session_drop(session, OUT_CANCELLED, NULL, clock_now());
}

void session_close(struct session *session)
{
	if (session->closing)
		return;
	session->closing = true;
	if (!move_is_pending(session))
		spaces_depart(session);
	session->hooks = NULL;
	quota_release(&session->quota, QUOTA_FDS, session->identity.fds);
	list_splice(&session->free_submissions, &session->final);
	session->unreported = 0;
	end_submissions(session);
	list_each (node, next, &session->fences)
		fence_release(list_entry(node, struct fence_hold, link));
	list_each (node, next, &session->jobs) {
		struct job *job = list_entry(node, struct job, link);
		if (job->active == 0)
			job_free(job);
	}
	list_each (node, next, &session->buffers) {
		struct buffer *buffer = list_entry(node, struct buffer, link);
		if (!buffer->released)
			buffer_release(buffer);
	}
	device_pump(session->device);
	session_settle(session);
}

int session_may_use(const struct session *session, enum sched_class class, struct fail *fail)
{
	const struct tenant_profile *profile = session->identity.profile;

	if (!(profile->classes & TENANT_CLASS_BIT(class)))
		return fail_set(fail, EPERM, "class \"%s\": not among the classes of tenant %s in npud.json",
				tenants_class_name(class), profile->name);
	if (class == SCHED_REALTIME && !(session->identity.rights & RIGHT_BIT(RIGHT_REALTIME)))
		return fail_set(fail, EPERM, "class \"%s\": needs the right \"%s\"", tenants_class_name(class),
				right_name(RIGHT_REALTIME));
	return 0;
}

/* ------------------------------------------------------------------ events */

void session_notify(struct session *session)
{
	if (session->hooks)
		session->hooks->events_ready(session->user);
}

void session_push_print(struct session *session, uint64_t submission, uint32_t group, uint32_t task, const char *text,
			uint32_t bytes)
{
	if (session->closing)
		return;
	if (!session->prints)
		session->prints = calloc(SESSION_PRINTS, sizeof(*session->prints));
	if (!session->prints || session->print_count == SESSION_PRINTS || bytes > NPUD_MAX_PRINT_BYTES) {
		session->prints_dropped++;
		return;
	}
	struct session_print *print = &session->prints[(session->print_first + session->print_count) % SESSION_PRINTS];
	print->submission = submission;
	print->group = group;
	print->task = task;
	print->bytes = bytes;
	memcpy(print->text, text, bytes);
	session->print_count++;
	session_notify(session);
}

/* What a program printed comes before its end. */
void session_peek_event(struct session *session, struct session_event *event)
{
	*event = (struct session_event){.kind = EVENT_NONE};
	if (session->print_count) {
		event->kind = EVENT_PRINT;
		event->print = &session->prints[session->print_first];
	} else if (!list_empty(&session->final)) {
		event->kind = EVENT_DONE;
		event->submission = list_entry(list_first(&session->final), struct submission, link);
	} else if (session->moved) {
		/* Before the news of the device that it left: that one is no concern of its client's any more. */
		event->kind = EVENT_MOVED;
		event->device = session->seat;
	} else if (session->devices_changed) {
		event->kind = EVENT_DEVICE;
		event->device = session->host->devices[__builtin_ctz(session->devices_changed)];
	}
}

void session_pop_event(struct session *session, const struct session_event *event)
{
	struct list *first = list_first(&session->final);

	switch (event->kind) {
	case EVENT_PRINT:
		session->print_first = (session->print_first + 1) % SESSION_PRINTS;
		session->print_count--;
		break;
	case EVENT_DONE:
		if (!first)
			break;
		list_remove(first);
		session->unreported--;
		list_entry(first, struct submission, link)->state = SUBMISSION_FREE;
		list_append(&session->free_submissions, first);
		break;
	case EVENT_MOVED:
		session->moved = false;
		break;
	case EVENT_DEVICE:
		session->devices_changed &= ~(1u << event->device->index);
		break;
	case EVENT_NONE:
	default:
		break;
	}
}
