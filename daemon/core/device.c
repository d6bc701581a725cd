/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's state machine on the loop: who holds it, what is fed to it, when the worker takes over. Decides order
 * and ownership; what registers mean is npu's, what fails is device_recover.c's.
 */
#include "daemon/core/device.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/buffer.h"
#include "daemon/core/host.h"
#include "daemon/core/session.h"
#include "daemon/log.h"
#include "daemon/util/clock.h"

/* While something is in flight the watchdog looks at least this often: it also finds lost interrupts. */
#define WATCHDOG_NS (250 * NSEC_PER_MSEC)

static void device_arm(struct device *device, nsec_t now);

/* Of which nothing is known, not even whether it is there. */
static int make_device(const char *name, bool threaded, struct device **out)
{
	struct device *device = calloc(1, sizeof(*device));
	int error = device ? worker_new(threaded, &device->worker) : -ENOMEM;

	if (error < 0) {
		free(device);
		return error;
	}
	if (snprintf(device->name, sizeof(device->name), "%s", name) < 0)
		device->name[0] = '\0';
	device->epoch = 1; /* jobs begin with 0: mapped in no tenure */
	list_init(&device->mapped);
	list_init(&device->releasing);
	list_init(&device->in_flight);
	list_init(&device->work.unmap);
	list_init(&device->work.map);
	list_init(&device->work.mapped);
	device->work.device = device;
	device->work.work.run = device_work_run;
	device->work.work.done = device_work_done;
	*out = device;
	return 0;
}

int device_new(const char *name, struct vfio_device *vfio, struct npu_device *npu, bool threaded, struct device **out)
{
	int error = make_device(name, threaded, out);

	if (error < 0) {
		npu_free(npu);
		vfio_close(vfio);
		return error;
	}
	device_take_transport(*out, vfio, npu);
	(*out)->state = DEV_READY;
	return 0;
}

int device_new_absent(const char *name, const char *why, bool threaded, struct device **out)
{
	int error = make_device(name, threaded, out);

	if (error == 0)
		device_set_absent(*out, why);
	return error;
}

void device_set_hooks(struct device *device, const struct device_hooks *hooks, void *user)
{
	device->hooks = hooks;
	device->user = user;
	if (hooks && device->state == DEV_READY)
		hooks->watch(user, true);
	else
		device_arm(device, clock_now());
}

void device_free(struct device *device)
{
	if (!device)
		return;
	worker_free(device->worker);
	if (device->vfio) {
		if (device->hooks)
			device->hooks->watch(device->user, false);
		(void)device->npu->ops->quiesce(device->npu);
		(void)device_attach(device, NULL);
		list_each (node, next, &device->mapped) {
			(void)device_unmap_one(device, list_entry(node, struct mapping, link));
			list_remove(node);
		}
		npu_free(device->npu);
		vfio_close(device->vfio);
	}
	scrubber_free(device->scrubber);
	free(device);
}

bool device_is_usable(const struct device *device)
{
	return device->state != DEV_OFFLINE && device->state != DEV_GONE && !device->lost;
}

bool device_is_known(const struct device *device)
{
	return device->slots != 0;
}

bool device_takes_new(const struct device *device)
{
	return device_is_usable(device) && !device->evicting && !device->drained;
}

/* Memory of this session may be reachable by the device. */
bool device_holds(const struct device *device, const struct session *session)
{
	/* A rung may exchange the transport under the tables: what belongs to one is returned before or after. */
	bool exchange = device->tables && device->state == DEV_RECOVERING;

	return device->attached == session->space || device->target == session->space || device->dirty || exchange ||
	       (!device_is_usable(device) && !device->closed);
}

void device_release_buffer(struct device *device, struct buffer *buffer)
{
	list_append(&device->releasing, &buffer->release);
}

void device_settle_sessions(struct device *device)
{
	/* There may be a thousand, and each change of tenure asks. */
	if (device->departures == 0)
		return;
	list_each (node, next, &device->host->sessions) {
		struct session *session = list_entry(node, struct session, link);
		if (session->device == device)
			session_settle(session);
	}
}

static void leave_mapping(struct device *device, struct mapping *mapping)
{
	if (!mapping->live)
		return;
	mapping->live = false;
	list_remove(&mapping->link);
	device->mapping_count--;
}

/* With the table goes what is left in it. */
void device_leave_space(struct device *device, struct session *session)
{
	struct mapping *pieces = session->space->pieces;

	for (uint32_t i = 0; pieces && i < ARENA_PIECES; i++)
		leave_mapping(device, &pieces[i]);
	list_each (node, next, &session->buffers)
		leave_mapping(device, &list_entry(node, struct buffer, link)->map);
}

/* ------------------------------------------------------------------ worker requests */

/* Returns true if the worker has to unmap something first. */
bool device_start_releases(struct device *device)
{
	list_each (node, next, &device->releasing) {
		struct buffer *buffer = list_entry(node, struct buffer, release);
		/* A table that the device does not use is no affair of whoever uses the device. */
		if (buffer->map.live && device->tables && !device_holds(device, buffer->session)) {
			list_remove(&buffer->map.link);
			device->mapping_count--;
			buffer_reap(buffer);
			continue;
		}
		if (!buffer->map.live) {
			buffer_reap(buffer);
			continue;
		}
		list_remove(&buffer->map.link);
		list_append(&device->work.unmap, &buffer->map.link);
	}
	if (list_empty(&device->work.unmap))
		return false;
	device_work_start(device, DEV_OP_UNMAP, DEV_SWITCHING);
	return true;
}

static void finish_request(struct device *device)
{
	struct device_work *work = &device->work;

	switch (work->op) {
	case DEV_OP_SWITCH:
		device_switch_ended(device);
		break;
	case DEV_OP_RENEW:
		device_renew_ended(device);
		break;
	case DEV_OP_UNMAP:
		/* The device may still reach memory that has to be returned. */
		if (work->result < 0) {
			device_blame(device, OUT_DEVICE_RESET, "memory could not be unmapped", NULL, NULL);
			device_recover(device, RECOVERY_REOPEN);
		}
		break;
	case DEV_OP_OPEN:
		device_opened(device);
		break;
	case DEV_OP_RUNG:
		device_recover_done(device);
		break;
	case DEV_OP_MAP:
	case DEV_OP_CLOSE:
	default:
		break;
	}
}

void device_work_done(struct work *base)
{
	struct device_work *work = list_entry(base, struct device_work, work);
	struct device *device = work->device;
	bool closed = work->op == DEV_OP_CLOSE || (work->op == DEV_OP_RUNG && work->rung == RECOVERY_OFFLINE);

	device->busy = false;
	/* What a request that failed did not come to may be wanted again, or go. */
	list_each (node, next, &work->map)
		list_remove(node);
	/* What was lost was the transport that a reopening closed. */
	if (work->op == DEV_OP_RUNG && work->rung == RECOVERY_REOPEN && work->result == 0)
		device->lost = false;
	if (work->failed) {
		device->unmappable = work->failed;
		device->unmappable_bytes = work->failed->bytes;
		device->unmappable_error = work->failed_error;
	}
	if (closed) {
		device_forget(device);
	} else {
		list_splice(&device->mapped, &work->unmap);
		list_splice(&device->mapped, &work->mapped);
		device->mapping_count += work->mapped_count;
		device->mapping_count -= work->unmapped_count;
	}
	if (work->op == DEV_OP_OPEN) {
		finish_request(device);
	} else if (work->result == -ENODEV || (device->lost && !closed)) {
		device_lost(device);
	} else {
		if (device->state == DEV_SWITCHING)
			device->state = DEV_READY;
		finish_request(device);
	}
	if (device->state == DEV_READY && device->hooks)
		device->hooks->watch(device->user, true);
	if (!device->busy && (!device_is_usable(device) || work->op == DEV_OP_RUNG))
		device_settle_sessions(device);
	device_pump(device);
}

struct submission *device_oldest(const struct device *device)
{
	struct list *first = list_first(&device->in_flight);

	return first ? list_entry(first, struct submission, link) : NULL;
}

/* By the timer: whoever says so may be in the middle of another device's or another session's change. */
void device_wake(struct device *device)
{
	if (device->pumping || !device->hooks)
		return;
	device->armed = clock_now();
	device->hooks->arm(device->user, 0);
}

void device_pump(struct device *device)
{
	if (device->pumping)
		return;
	device->pumping = true;
	if (device->state == DEV_READY)
		device_feed(device);
	else if (!device_is_usable(device) && !device->busy)
		(void)device_start_releases(device);
	device_arm(device, clock_now());
	device->pumping = false;
}

/* ------------------------------------------------------------------ from the event loop */

static nsec_t deadline_of(const struct device *device, const struct submission *submission)
{
	return nsec_add(device_start_of(device, submission), submission->budget_ns);
}

/* Gone, and whether it is back has to be tried now and then. */
static bool awaits_return(const struct device *device)
{
	return device->state == DEV_GONE && device->closed && !device->busy && device->source.open;
}

/* When device_tick() has something to do: 0 = never. */
static nsec_t next_tick(const struct device *device, nsec_t now)
{
	const struct submission *first = device_oldest(device);

	if (awaits_return(device))
		return nsec_add(now, device->retry_ns);
	if (device->state != DEV_READY)
		return (nsec_t){0};
	nsec_t when = first ? deadline_of(device, first) : (nsec_t){UINT64_MAX};
	if (first && when.v > now.v + WATCHDOG_NS)
		when.v = now.v + WATCHDOG_NS;
	/* The scheduler may have something then that it does not have now. */
	uint64_t change = device->host->options.scheduler->next_change(device->host->sched, device->index, now.v);
	if (when.v > change)
		when.v = change;
	if (when.v == UINT64_MAX)
		when.v = 0;
	return when;
}

static void device_arm(struct device *device, nsec_t now)
{
	nsec_t when = next_tick(device, now);

	if (when.v == 0 || !device->hooks || (device->armed.v && device->armed.v <= when.v))
		return;
	device->armed = when;
	device->hooks->arm(device->user, nsec_since(when, now));
}

/* Interrupts first; then errors of the conversation itself. */
static bool drain_or_recover(struct device *device)
{
	int error = device_drain(device);

	if (error == -ENODEV) {
		device_lost(device);
		return false;
	}
	if (error < 0) {
		device_blame(device, OUT_DEVICE_RESET, "the device could not be asked about its interrupts", NULL,
			     NULL);
		device_recover(device, RECOVERY_SOFT_RESET);
		return false;
	}
	return true;
}

void device_irq(struct device *device)
{
	if (device->state != DEV_READY)
		return;
	(void)drain_or_recover(device);
	device_pump(device);
}

/* Idle twice in a row with the same work in flight: its completion interrupt was lost, the work was not. */
static void find_lost_interrupt(struct device *device, nsec_t now)
{
	int idle = device->npu->ops->is_idle(device->npu);

	if (idle == -ENODEV)
		device->lost = true;
	if (idle != 1) {
		device->idle_at = 0;
		return;
	}
	if (device->idle_at != device->dispatches) {
		device->idle_at = device->dispatches;
		return;
	}
	device->idle_at = 0;
	device->counters.lost_interrupts++;
	log_event(LOG_LEVEL_WARN, "device.interrupt_lost", LOG_STR("device", device->name),
		  LOG_U64("in_flight", device->in_flight_count));
	device_complete_until(device, list_entry(device->in_flight.prev, struct submission, link), NULL, now);
}

void device_tick(struct device *device)
{
	device->armed = (nsec_t){0};
	if (awaits_return(device)) {
		device_retry(device);
		return;
	}
	/* A completion that waits in the interrupt path is not late. */
	if (device->state == DEV_READY && device_oldest(device) && drain_or_recover(device)) {
		nsec_t now = clock_now();
		struct submission *first = device_oldest(device);
		if (first && device_is_evicted(device, now))
			device_blame(device, OUT_DEVICE_GONE, "the host asked for the device back", first, NULL);
		else if (first && deadline_of(device, first).v <= now.v)
			device_blame(device, OUT_TIMEOUT, "its device-time budget ran out", first, NULL);
		else if (first && !device->incident_pending)
			find_lost_interrupt(device, now);
	}
	device_pump(device);
}
