/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Climbing the ladder and judging afterwards: the guilty fails with its own outcome, what was certainly not started is
 * queued again, and so is what may have been started, is not guilty and may run twice; else it ends as DEVICE_RESET.
 * Other sessions notice nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/offence.h"
#include "daemon/core/session.h"
#include "daemon/core/tenant.h"
#include "daemon/log.h"
#include "daemon/npu/v3_tcb.h"
#include "daemon/util/barrier.h"
#include "daemon/util/clock.h"

_Static_assert((int)RECOVERY_ABORT == (int)NPU_RUNG_ABORT && (int)RECOVERY_SOFT_RESET == (int)NPU_RUNG_SOFT_RESET &&
		   (int)RECOVERY_TRANSPORT_RESET == (int)NPU_RUNG_VFIO_RESET,
	       "policy and npu count the rungs alike");

void device_blame(struct device *device, enum outcome outcome, const char *reason, struct submission *guilty,
		  const struct npu_event *event)
{
	struct device_incident *incident = &device->incident;

	/* The first report is the cause; what follows is its echo. */
	if (device->incident_pending)
		return;
	device->incident_pending = true;
	incident->outcome = outcome;
	incident->reason = reason;
	incident->guilty = guilty;
	incident->asked = false;
	memset(&incident->event, 0, sizeof(incident->event));
	if (event)
		incident->event = *event;
}

/*
 * What waits behind the running job must not begin while the abort is on its way, or it would run twice: the device
 * parks behind whatever ends from now on. What has begun already is behind a completion that the worker still finds.
 */
static void unlink_waiting(struct device *device)
{
	if (!device->attached || !device->attached->memory)
		return;
	for (uint32_t i = 0; i < ARENA_HOLDS; i++)
		v3_tcb_set_next(arena_hold(device->attached, i), (iova_t){0});
	device_write_barrier();
}

static void start_rung(struct device *device, enum recovery_rung rung)
{
	struct device_work *work = &device->work;

	work->rung = rung;
	work->make_pool = device->attached != NULL;
	/* Where there are several tables, they go with the transport. */
	if ((rung == RECOVERY_OFFLINE || rung == RECOVERY_REOPEN) && !device->tables)
		list_splice(&work->unmap, &device->mapped);
	if (rung == RECOVERY_ABORT)
		device->counters.aborts++;
	else if (rung != RECOVERY_OFFLINE)
		device->counters.resets++;
	unlink_waiting(device);
	bool tell = rung != RECOVERY_ABORT;
	device_work_start(device, DEV_OP_RUNG, DEV_RECOVERING);
	if (tell)
		host_device_changed(device->host, device);
}

void device_recover(struct device *device, enum recovery_rung from)
{
	log_event(LOG_LEVEL_WARN, "device.recover", LOG_STR("device", device->name),
		  LOG_STR("reason", device->incident.reason ? device->incident.reason : ""),
		  LOG_U64("session", device->holder ? device->holder->id : 0),
		  LOG_U64("in_flight", device->in_flight_count));
	device->work.late_count = 0;
	unsigned available = device->npu->rungs | (device->source.open ? 1u << RECOVERY_REOPEN : 0);
	start_rung(device, recovery_begin(&device->recovery, available, from, clock_now().v));
}

static void finish_running(struct device *device, struct submission *submission, const struct submission_result *result,
			   nsec_t now)
{
	struct host *host = device->host;

	device->in_flight_count--;
	host->options.scheduler->completed(host->sched, &submission->item, result->device_ns, now.v);
	submission_finish(submission, result, now);
}

/* True if its session or tenant was guilty once too often. */
static bool punish(struct device *device, struct submission *guilty, nsec_t now)
{
	const struct device_incident *incident = &device->incident;
	struct submission_result result = {
	    .outcome = incident->outcome,
	    .reason = incident->reason,
	    .tcb_pointer = incident->event.tcb_pointer,
	    .hardware_status = incident->event.status,
	    .signal_flags = incident->event.signal_flags,
	    .device_ticks = incident->event.ticks,
	    .queued_ns = nsec_since(guilty->dispatched, guilty->submitted),
	    .device_ns = nsec_since(now, device_start_of(device, guilty)),
	    .started = true,
	};

	struct session *session = guilty->session;
	finish_running(device, guilty, &result, now);
	return offence_book(session, incident->outcome, now);
}

/* What had not begun may always run again; what may have begun, if its client said so and not for ever. */
static bool may_run_again(const struct device_incident *incident, struct submission *submission, bool started)
{
	/* No cause is looked for, and each time a person decides. */
	if (incident->asked)
		return !started || submission->restartable;
	if (started && (!submission->restartable || ++submission->lost >= SUBMISSION_MAX_LOST))
		return false;
	return ++submission->attempts < SUBMISSION_MAX_ATTEMPTS;
}

static const char *why_lost(const struct device_incident *incident)
{
	return incident->asked ? "lost to a reset of the device that an operator asked for; submit it again"
			       : "lost to a recovery of the device that another submission caused; submit it again";
}

static void put_back(struct device *device, struct submission *submission, bool started, nsec_t now)
{
	struct submission_result result = {
	    .queued_ns = nsec_since(submission->dispatched, submission->submitted),
	    .started = started,
	};

	if (submission->cancel_wanted) {
		result.outcome = OUT_CANCELLED;
		result.reason = started ? "cancelled while it ran" : "cancelled before it ran";
	} else if (device->state == DEV_OFFLINE || device->state == DEV_GONE) {
		result.outcome = OUT_DEVICE_GONE;
		result.reason = device->reason;
	} else if (!may_run_again(&device->incident, submission, started)) {
		result.outcome = OUT_DEVICE_RESET;
		result.reason = why_lost(&device->incident);
	} else {
		list_remove(&submission->link);
		device->in_flight_count--;
		device->host->options.scheduler->remove(device->host->sched, &submission->item, now.v);
		submission_enqueue(submission, now);
		return;
	}
	finish_running(device, submission, &result, now);
}

/* A completion that came before the abort took hold counts. */
static void count_late(struct device *device, nsec_t now)
{
	struct device_work *work = &device->work;

	if (work->op != DEV_OP_RUNG)
		return;
	for (unsigned i = 0; i < work->late_count; i++)
		device_event(device, &work->late[i], now);
	work->late_count = 0;
}

/* In order of the pool: what precedes the guilty has ended, the guilty was running, the rest had not begun. */
void device_judge(struct device *device, nsec_t now)
{
	bool started = true, once_too_often = false;

	count_late(device, now);
	struct submission *guilty = device->incident.guilty;
	if (guilty && guilty->state == SUBMISSION_RUNNING) {
		struct list *before = guilty->link.prev;
		if (before != &device->in_flight)
			device_complete_until(device, list_entry(before, struct submission, link), NULL, now);
		once_too_often = punish(device, guilty, now);
		started = false;
	}
	while (!list_empty(&device->in_flight)) {
		/* Putting back changes the list; the next is always the first. */
		put_back(device, list_entry(list_first(&device->in_flight), struct submission, link), started, now);
		started = false;
	}
	device->last_completion = now;
	device->incident_pending = false;
	memset(&device->incident, 0, sizeof(device->incident));
	if (once_too_often)
		offence_drop_queued(device->host, now);
}

/* Whose fault it is, for the log. */
static const struct session *session_at_fault(const struct device *device)
{
	const struct submission *guilty = device->incident.guilty;

	return guilty && guilty->state == SUBMISSION_RUNNING ? guilty->session : NULL;
}

/* One line for each climb that ended well: how far up, how long, because of whom (session 0: of nobody). */
static void log_climb(const struct device *device, nsec_t now)
{
	const struct recovery *recovery = &device->recovery;
	const struct session *guilty = session_at_fault(device);
	const char *reason = device->incident.reason ? device->incident.reason : "";

	log_event(LOG_LEVEL_WARN, "device.recovered", LOG_STR("device", device->name),
		  LOG_STR("rung", recovery_rung_name(recovery->rung)),
		  LOG_U64("ns", recovery_climb_ns(recovery, now.v)), LOG_STR("reason", reason),
		  LOG_STR("tenant", guilty ? tenant_name(guilty->tenant) : ""),
		  LOG_U64("session", guilty ? guilty->id : 0));
}

static void settle_rung(struct device *device, nsec_t now)
{
	struct device_work *work = &device->work;

	count_late(device, now);
	log_climb(device, now);
	device->chained = false;
	device->redial = false;
	if (work->rung == RECOVERY_REOPEN) {
		device_forget_mappings(device);
		device_take_transport(device, work->vfio, work->npu);
		device_was_reset(device);
		device->counters.returns++;
	} else if (work->was_reset) {
		device_was_reset(device);
		device->pool = work->make_pool;
		device->pool_use = POOL_FRESH;
		if (device->attached)
			device_now_holds(device, device->attached);
	}
	device->state = DEV_READY;
	device_judge(device, now);
	control_reset_done(device, work->rung);
	if (work->rung != RECOVERY_ABORT)
		host_device_changed(device->host, device);
}

static void went_offline(struct device *device)
{
	char reason[sizeof(device->reason)];

	if (device->evicting) {
		device_stop(device, DEV_GONE, "the host asked for the device back");
		return;
	}
	if (snprintf(reason, sizeof(reason), "taken offline: no reset brought it back after: %s",
		     device->incident.reason ? device->incident.reason : "a failure") < 0)
		reason[0] = '\0';
	device_stop(device, DEV_OFFLINE, reason);
}

void device_recover_done(struct device *device)
{
	struct device_work *work = &device->work;
	nsec_t now = clock_now();

	if (work->rung == RECOVERY_REOPEN && work->result < 0) {
		/* It is closed already, and may come back. */
		recovery_give_up(&device->recovery, now.v);
		device_forget(device);
		device_stop(device, DEV_GONE, work->why);
		return;
	}
	enum recovery_rung next = recovery_next(&device->recovery, work->result, now.v);
	if (work->rung == RECOVERY_OFFLINE) {
		went_offline(device);
		return;
	}
	if (next == RECOVERY_DONE) {
		settle_rung(device, now);
		return;
	}
	log_event(LOG_LEVEL_ERROR, "device.rung_failed", LOG_STR("device", device->name),
		  LOG_STR("rung", recovery_rung_name(work->rung)), LOG_STR("stage", work->stage),
		  LOG_STR("error", strerror(-work->result)), LOG_STR("next", recovery_rung_name(next)),
		  LOG_U64("ns", device->recovery.count[work->rung].last_ns));
	start_rung(device, next);
}
