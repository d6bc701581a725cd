/* SPDX-License-Identifier: Apache-2.0 */
/* Moving a session between devices; see move.h. Which one is better is policy/placement.c's. */
#include "daemon/core/move.h"

#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/job.h"
#include "daemon/core/session.h"
#include "daemon/core/spaces.h"
#include "daemon/core/tenant.h"
#include "daemon/log.h"
#include "daemon/policy/placement.h"
#include "daemon/util/clock.h"

bool move_is_pending(const struct session *session)
{
	return session->seat != session->device;
}

static void take_seat(struct session *session, struct device *seat, nsec_t now)
{
	struct device *old = session->seat;

	old->sessions--;
	old->occupied -= session->active > 0;
	seat->sessions++;
	seat->occupied += session->active > 0;
	session->seat = seat;
	spaces_depart(session);
	session->seated = now;
	session->moved = true;
	control_vacated(old);
	session_notify(session);
	log_event(LOG_LEVEL_INFO, "session.move", LOG_U64("session", session->id),
		  LOG_STR("from", session->device->name), LOG_STR("to", seat->name));
}

/* A client that was promised one device for ever keeps it, and so do those that share their addresses. */
static bool may_move(const struct session *session)
{
	bool stays = session->stays || session->tenant->profile->address_space != TENANT_SPACE_PRIVATE;

	return !stays && !session->closing && !move_is_pending(session);
}

/* Its own device to stay. */
static struct device *choose(const struct session *session, nsec_t now)
{
	struct placement devices[HOST_MAX_DEVICES];
	const struct host *host = session->host;
	const struct device *here = session->device;

	for (uint32_t i = 0; i < host->device_count; i++) {
		const struct device *device = host->devices[i];
		devices[i] = (struct placement){.usable = device_takes_new(device),
						.alike = device_is_alike(device, here),
						.busy = device->occupied};
	}
	return host
	    ->devices[placement_choose(devices, host->device_count, here->index, nsec_since(now, session->seated))];
}

/* True if it goes. */
static bool go(struct session *session)
{
	nsec_t now = clock_now();
	struct device *seat = choose(session, now);

	if (seat == session->device)
		return false;
	take_seat(session, seat, now);
	move_continue(session);
	return true;
}

void move_consider(struct session *session)
{
	if (may_move(session) && session->active == 0)
		(void)go(session);
}

static void advance(struct session *session)
{
	nsec_t now = clock_now();

	queue_advance(&session->queue, now);
	list_each (node, next, &session->queues)
		queue_advance(list_entry(node, struct queue, link), now);
}

/* ------------------------------------------------------------------ away from a device that is drained */

bool move_away(struct session *session)
{
	move_consider(session);
	if (device_takes_new(session->seat) || session->parting)
		return true;
	if (!may_move(session) || choose(session, clock_now()) == session->device)
		return false;
	session->parting = true;
	session->parting_after = session->host->next_arrival;
	return true;
}

bool move_holds_back(const struct session *session, uint64_t arrival)
{
	return move_is_pending(session) || (session->parting && arrival > session->parting_after);
}

void move_depart(struct session *session)
{
	if (!session->parting)
		return;
	for (uint32_t i = 0; i < NPUD_MAX_INFLIGHT_EVENTS; i++) {
		const struct submission *submission = &session->pool[i];
		if (submission->state >= SUBMISSION_WAITING && submission->state <= SUBMISSION_RUNNING &&
		    submission->item.arrival <= session->parting_after)
			return;
	}
	session->parting = false;
	/* There may be no such place any more: what was accepted runs here then. */
	if (!may_move(session) || !go(session))
		advance(session);
}

/* ------------------------------------------------------------------ the way */

/* Device time of others that passes while it sits there: it goes on where it was. */
static void carry_times(struct session *session)
{
	uint64_t worked = session->device->counters.used_ns - session->device_before_ns;

	session->device_before_ns = session->seat->counters.used_ns - worked;
}

static void arrive(struct session *session)
{
	struct host *host = session->host;
	struct device *device = session->seat;

	device_forget_slot(session->device, session->space);
	device_forget_holder(session->device, session);
	session->space->staying++;
	session->space->device = session->seat;
	carry_times(session);
	session->device->departures--;
	session->device = device;
	host->options.scheduler->session_move(host->sched, &session->share, device->index);
	list_each (node, next, &session->jobs)
		list_entry(node, struct job, link)->epoch = 0;
	advance(session);
	/* That one may have gone meanwhile, with what waited for it. */
	if (!device_takes_new(device))
		move_consider(session);
	device_wake(device);
}

static void leave_run(struct work *work)
{
	struct session *session = list_entry(work, struct session, work);

	device_free_space(session->device, session->space);
}

static void leave_done(struct work *work)
{
	struct session *session = list_entry(work, struct session, work);
	struct device *device = session->device;

	session->leaving = false;
	/* A table that stays maps what may be returned from now on: it goes with the transport. */
	if (session->space->io)
		device->leaking = true;
	session_settle(session);
	device_pump(device);
}

void move_continue(struct session *session)
{
	struct device *device = session->device;

	if (session->leaving || session->releases || device->leaking || device_holds(device, session))
		return;
	device_leave_space(device, session);
	if (!session->space->io) {
		arrive(session);
		return;
	}
	session->leaving = true;
	session->work.run = leave_run;
	session->work.done = leave_done;
	worker_submit(device->worker, &session->work);
}
