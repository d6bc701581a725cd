/* SPDX-License-Identifier: Apache-2.0 */
/* Moving a session between devices; see move.h. Which one is better is policy/placement.c's. */
#include "daemon/core/move.h"

#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/job.h"
#include "daemon/core/session.h"
#include "daemon/log.h"
#include "daemon/policy/placement.h"
#include "daemon/util/clock.h"

bool move_is_pending(const struct session *session)
{
	return session->seat != session->device;
}

static void take_seat(struct session *session, struct device *seat, nsec_t now)
{
	session->seat->sessions--;
	seat->sessions++;
	session->seat = seat;
	session->device->departures++;
	session->seated = now;
	session->moved = true;
	session_notify(session);
	log_event(LOG_LEVEL_INFO, "session.move", LOG_U64("session", session->id),
		  LOG_STR("from", session->device->name), LOG_STR("to", seat->name));
}

void move_consider(struct session *session)
{
	struct placement devices[HOST_MAX_DEVICES];
	const struct host *host = session->host;
	const struct device *here = session->device;
	nsec_t now = clock_now();

	/* A client that was promised one device for ever keeps it. */
	if (session->stays || session->active || session->closing || move_is_pending(session))
		return;
	for (uint32_t i = 0; i < host->device_count; i++) {
		const struct device *device = host->devices[i];
		devices[i] = (struct placement){.usable = device_takes_new(device),
						.alike = device_is_alike(device, here),
						.busy = device->occupied};
	}
	uint32_t seat = placement_choose(devices, host->device_count, here->index, nsec_since(now, session->seated));
	if (seat == here->index)
		return;
	take_seat(session, host->devices[seat], now);
	move_continue(session);
}

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
	nsec_t now = clock_now();

	device_forget_slot(session->device, session);
	carry_times(session);
	session->device->departures--;
	session->device = device;
	host->options.scheduler->session_move(host->sched, &session->share, device->index);
	list_each (node, next, &session->jobs)
		list_entry(node, struct job, link)->epoch = 0;
	queue_advance(&session->queue, now);
	list_each (node, next, &session->queues)
		queue_advance(list_entry(node, struct queue, link), now);
	/* That one may have gone meanwhile, with what waited for it. */
	if (!device_is_usable(device))
		move_consider(session);
	device_wake(device);
}

static void leave_run(struct work *work)
{
	struct session *session = list_entry(work, struct session, work);

	device_free_space(session->device, &session->space);
}

static void leave_done(struct work *work)
{
	struct session *session = list_entry(work, struct session, work);
	struct device *device = session->device;

	session->leaving = false;
	/* A table that stays maps what may be returned from now on: it goes with the transport. */
	if (session->space.io)
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
	if (!session->space.io) {
		arrive(session);
		return;
	}
	session->leaving = true;
	session->work.run = leave_run;
	session->work.done = leave_done;
	worker_submit(device->worker, &session->work);
}
