/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the queue, the scheduler and the device, in this order; see why.h. Changes nothing. */
#include "daemon/core/why.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/job.h"
#include "daemon/core/move.h"
#include "daemon/core/session.h"
#include "daemon/util/clock.h"

/* ------------------------------------------------------------------ waiting */

static uint32_t count_until(const struct list *list, const struct list *end)
{
	uint32_t count = 0;

	for (const struct list *node = list->next; node != end; node = node->next)
		count++;
	return count;
}

static void explain_waiting(const struct submission *submission, struct why *why)
{
	why->queue_ahead = count_until(&submission->queue->waiting, &submission->link);
	why->job_ahead = count_until(&submission->job->runs, &submission->turn);
	for (unsigned i = 0; i < NPUD_MAX_DEPENDENCIES; i++) {
		const struct completion_wait *wait = &submission->waits[i];
		if (list_empty(&wait->link))
			continue;
		why->fences += wait->by_fence;
		why->dependencies += !wait->by_fence;
	}
	if (move_holds_back(submission->session, submission->item.arrival))
		why->limits |= 1u << WHY_DEVICE_CHANGING;
}

/* ------------------------------------------------------------------ queued */

/* What is on the device, less what of it is done. */
static uint64_t left_on_device(const struct device *device, nsec_t now)
{
	const struct submission *first = device_oldest(device);
	uint64_t sum = 0;

	list_each (node, next, &device->in_flight) {
		const struct submission *submission = list_entry(node, struct submission, link);
		uint64_t done = submission == first ? nsec_since(now, device_start_of(device, submission)) : 0;
		if (submission->item.estimate_ns > done)
			sum += submission->item.estimate_ns - done;
	}
	return sum;
}

static uint32_t device_limits(const struct device *device)
{
	if (!device_is_usable(device) || device->evicting)
		return 1u << WHY_DEVICE_OFFLINE;
	if (device->state == DEV_RECOVERING || device->incident_pending)
		return 1u << WHY_DEVICE_RECOVERING;
	if (device->state == DEV_SWITCHING)
		return 1u << WHY_DEVICE_CHANGING;
	return 0;
}

/* Another session that has the device, and something on it or more to come. */
static uint32_t tenure_limits(struct host *host, const struct session *session, nsec_t now)
{
	const struct device *device = session->device;
	const struct sched_ops *ops = host->options.scheduler;
	struct session *holder = device->holder;
	uint32_t limits = 0;

	if (!holder || device->attached == session->space)
		return 0;
	if (device->in_flight_count)
		limits |= 1u << WHY_TENURE;
	if (ops->free_at(host->sched, device->index, now.v) < device->quantum.stay_until_ns &&
	    ops->pick_of(host->sched, &holder->share, now.v))
		limits |= 1u << WHY_QUANTUM;
	return limits;
}

static void explain_queued(struct host *host, const struct submission *submission, nsec_t now, struct why *why)
{
	const struct device *device = submission->session->device;

	host->options.scheduler->explain(host->sched, &submission->item, now.v, &why->order);
	why->in_flight = device->in_flight_count;
	why->wait_ns = why->order.ahead_ns + left_on_device(device, now);
	if (why->wait_ns < why->order.throttled_ns)
		why->wait_ns = why->order.throttled_ns;
	if (why->order.position)
		why->limits |= 1u << WHY_ORDER;
	if (why->order.throttled)
		why->limits |= 1u << WHY_TENANT_TIME;
	if (!device_has_room(device) || (device->in_flight_count && device_needs_new_pool(device, submission)))
		why->limits |= 1u << WHY_IN_FLIGHT;
	why->limits |= device_limits(device) | tenure_limits(host, submission->session, now);
}

/* ------------------------------------------------------------------ running */

static void explain_running(const struct submission *submission, nsec_t now, struct why *why)
{
	const struct device *device = submission->session->device;

	why->device_ahead = count_until(&device->in_flight, &submission->link);
	if (why->device_ahead == 0)
		why->running_ns = nsec_since(now, device_start_of(device, submission));
	if (submission->budget_ns > why->running_ns)
		why->budget_left_ns = submission->budget_ns - why->running_ns;
}

/* ------------------------------------------------------------------ any */

static struct session *find_session(const struct host *host, const struct viewer *viewer, uint64_t id)
{
	list_each (node, next, &host->sessions) {
		struct session *session = list_entry(node, struct session, link);
		if (session->id == id)
			return viewer_sees_session(viewer, session) ? session : NULL;
	}
	return NULL;
}

static void explain(struct host *host, const struct submission *submission, nsec_t now, struct why *why)
{
	why->job = submission->job_handle;
	why->age_ns = nsec_since(now, submission->submitted);
	if (submission->state == SUBMISSION_FINAL) {
		why->outcome = submission->result.outcome;
		return;
	}
	why->queue = submission->queue->handle;
	why->class = submission->queue->share.class;
	if (submission->state == SUBMISSION_WAITING) {
		why->state = WHY_WAITING;
		explain_waiting(submission, why);
	} else if (submission->state == SUBMISSION_QUEUED) {
		why->state = WHY_QUEUED;
		explain_queued(host, submission, now, why);
	} else {
		why->state = WHY_RUNNING;
		explain_running(submission, now, why);
	}
}

int why_read(struct host *host, const struct viewer *viewer, uint64_t session_id, uint64_t id, struct why *why,
	     struct fail *fail)
{
	struct session *session = find_session(host, viewer, session_id);
	const struct submission *submission = session ? session_submission(session, id) : NULL;

	if (!submission)
		return fail_set(fail, ENOENT, "session %" PRIu64 " has no submission 0x%" PRIx64, session_id, id);
	*why = (struct why){
	    .session = session->id,
	    .submission = id,
	    .class = SCHED_NORMAL,
	    .device = session->device->index,
	    .state = WHY_ENDED,
	};
	if (submission->generation == (uint32_t)(id >> 32) && submission->state != SUBMISSION_FREE)
		explain(host, submission, clock_now(), why);
	return 0;
}
