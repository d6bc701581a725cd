/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a READY device does next: leave a session, release memory, map, switch, ring the doorbell. Never feeds a session
 * that does not hold the device, and never blocks.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/core/buffer.h"
#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/job.h"
#include "daemon/core/session.h"
#include "daemon/util/barrier.h"
#include "daemon/util/clock.h"
#include "proto/zhouyi_regs.h"

/* Returns true if it could not be mapped before. */
static bool want(const struct device *device, struct mapping *mapping, struct list *out)
{
	if (!mapping->live)
		list_append(out, &mapping->link);
	return mapping == device->unmappable;
}

/*
 * Collects what the job needs and is not mapped. 0, or -EFAULT if one of it could not be mapped before. What is on the
 * list when the answer is 0 has to go to the worker.
 */
static int collect_mappings(struct device *device, struct job *job, struct list *out)
{
	struct mapping *pieces = job->session->space->pieces;
	const struct arena_span holds = arena_pieces(0, ARENA_PAGE);
	const struct arena_span own = arena_pieces(job->arena_offset, job->arena_bytes);
	bool failed = false;

	if (job->epoch == device->epoch)
		return 0;
	for (uint32_t i = holds.first; i < holds.end; i++)
		failed |= want(device, &pieces[i], out);
	for (uint32_t i = own.first > holds.end ? own.first : holds.end; i < own.end; i++)
		failed |= want(device, &pieces[i], out);
	for (uint32_t i = 0; i < job->buffer_count; i++)
		failed |= want(device, &job->buffers[i]->map, out);
	if (failed) {
		list_each (node, next, out)
			list_remove(node);
		device->unmappable = NULL;
		return -EFAULT;
	}
	if (list_empty(out))
		job->epoch = device->epoch;
	return 0;
}

static int ring_doorbell(struct device *device, struct submission *submission)
{
	struct job *job = submission->job;
	struct address_space *space = submission->session->space;
	union zy3_tcb *chain = (union zy3_tcb *)(void *)(space->memory + job->arena_offset);
	uint32_t hold = device->hold;
	uint32_t hold_offset = arena_hold_offset(hold);
	iova_t head = arena_iova(space, job->arena_offset);
	bool first = !device->chained;

	memcpy(chain, job->pristine, (size_t)job->tcbs * ZY_TCB_BYTES);
	arena_restore_code(space);
	v3_hold_encode(arena_hold(space, hold), &job->pristine[job->tcbs - 1],
		       space_npu_addr(space, arena_iova(space, 0)),
		       space_npu_addr(space, arena_iova(space, hold_offset)));
	/* Nobody waits for the end of a hold TCB: half of all interrupts less. */
	arena_hold(space, hold)->task.interrupt_en &= ~ZY3_INTR_DONE;
	v3_tcb_set_next(&chain[job->tcbs - 1], arena_iova(space, hold_offset));
	/* The chain is complete in memory before anything points to it, and the link before the doorbell. */
	device_write_barrier();
	if (!first)
		v3_tcb_set_next(arena_hold(space, (hold + ARENA_HOLDS - 1) % ARENA_HOLDS), head);
	device_write_barrier();
	device->hold = (hold + 1) % ARENA_HOLDS;
	device->chained = true;
	device->redial = false;
	device->dispatches++;
	device->pool_use = submission->core ? POOL_BOUND : POOL_SHARED;
	if (submission->core)
		return device->npu->ops->dispatch_bound(device->npu, head, submission->core - 1,
							(uint16_t)submission->item.arrival);
	return device->npu->ops->dispatch(device->npu, head, first, (uint16_t)submission->item.arrival);
}

static int dispatch(struct device *device, struct submission *submission)
{
	struct host *host = device->host;

	submission->dispatched = clock_now();
	host->options.scheduler->dispatched(host->sched, &submission->item, submission->dispatched.v);
	submission_move(submission, SUBMISSION_RUNNING);
	list_append(&device->in_flight, &submission->link);
	device->in_flight_count++;
	device->holder = submission->session;
	return ring_doorbell(device, submission);
}

static void dispatch_failed(struct device *device, int error)
{
	if (error == -ENODEV) {
		device_lost(device);
		return;
	}
	/* What runs before it is innocent, and its end is a better moment to ring again. */
	device->redial = device->in_flight_count > 1;
	if (device->redial)
		return;
	device_blame(device, OUT_DEVICE_RESET, "the device refused a command", NULL, NULL);
	device_recover(device, RECOVERY_SOFT_RESET);
}

/* Everything in flight is linked already: the device has only to look again. */
static void ring_again(struct device *device)
{
	if (device->in_flight_count == 0) {
		device->redial = false;
		return;
	}
	int error = device->npu->ops->dispatch(device->npu, (iova_t){0}, false, 0);
	if (error < 0)
		dispatch_failed(device, error);
	else
		device->redial = false;
}

/* The text is the session's: the client reads it later. */
static const char *why_unmappable(const struct device *device, struct session *session)
{
	char advice[192];

	vfio_map_advice(device->vfio, device->unmappable_error, device->unmappable_bytes, advice, sizeof(advice));
	(void)snprintf(session->map_failure, sizeof(session->map_failure),
		       "memory of this job could not be mapped for the device: %s%s%s",
		       strerror(-device->unmappable_error), advice[0] ? "; " : "", advice);
	return session->map_failure;
}

bool device_needs_new_pool(const struct device *device, const struct submission *submission)
{
	return device->pool_use == POOL_BOUND || (submission->core && device->pool_use != POOL_FRESH);
}

/* One step for the picked submission: true if the loop may go on feeding. */
static bool feed_one(struct device *device, struct submission *submission)
{
	struct session *session = submission->session;
	bool attached = session->space == device->attached;
	struct list wanted;

	if (!attached && device->in_flight_count)
		return false;
	list_init(&wanted);
	if (collect_mappings(device, submission->job, &wanted) < 0) {
		submission_drop(submission, OUT_FAULT, why_unmappable(device, session), clock_now());
		return true;
	}
	if (!attached) {
		device->switch_class = submission->item.queue->class;
		device_start_switch(device, session, &wanted);
		return false;
	}
	if (!list_empty(&wanted)) {
		list_splice(&device->work.map, &wanted);
		device_work_start(device, DEV_OP_MAP, DEV_SWITCHING);
		return false;
	}
	if (device_needs_new_pool(device, submission)) {
		if (device->in_flight_count == 0)
			device_start_renew(device, submission);
		return false;
	}
	int error = dispatch(device, submission);
	if (error < 0)
		dispatch_failed(device, error);
	return error == 0;
}

/* Cancelled work is aborted when it is the oldest: only then is it certainly what runs. */
static bool start_cancel(struct device *device)
{
	struct submission *first = device_oldest(device);

	if (!first || !first->cancel_wanted)
		return false;
	device_blame(device, OUT_CANCELLED, "cancelled while it ran", first, NULL);
	return true;
}

/* What cannot meet its deadline any more takes no device time from what can. */
static void shed_late(struct device *device)
{
	const struct sched_ops *ops = device->host->options.scheduler;
	nsec_t now = clock_now();
	struct sched_item *item;

	while ((item = ops->pick_late(device->host->sched, device->index, now.v)) != NULL)
		submission_drop(list_entry(item, struct submission, item), OUT_SHED,
				"its deadline could not be met: it never ran", now);
}

static struct sched_item *pick(struct device *device)
{
	struct host *host = device->host;
	struct session *holder = device->holder;

	return quantum_pick(&device->quantum, host->options.scheduler, host->sched, device->index,
			    holder ? &holder->share : NULL, clock_now().v);
}

/* Of short ones. */
#define MOST_IN_FLIGHT 4u

/*
 * Only an abort takes work back from the hardware: what is ahead there is little, in number and in time. But it is no
 * less than the host needs to hear of an end and to act on it, or the device would run dry between short submissions.
 */
bool device_has_room(const struct device *device)
{
	const struct host_options *options = &device->host->options;
	uint64_t ahead_ns = 0;

	if (device->in_flight_count == 0)
		return true;
	list_each (node, next, &device->in_flight)
		ahead_ns += list_entry(node, struct submission, link)->item.estimate_ns;
	if (ahead_ns >= options->max_in_flight_ns)
		return false;
	return device->in_flight_count < options->max_in_flight ||
	       (device->in_flight_count < MOST_IN_FLIGHT && ahead_ns < options->min_in_flight_ns);
}

/* Whoever holds the device has nothing more for it. */
static bool is_left(const struct device *device)
{
	const struct address_space *attached = device->attached;

	return attached && (attached->staying == 0 || control_is_empty(device));
}

void device_feed(struct device *device)
{
	if (device->redial)
		ring_again(device);
	for (;;) {
		if (device->state != DEV_READY)
			return;
		shed_late(device);
		if (device->lost) {
			device_lost(device);
			return;
		}
		if (device->leaking) {
			device_blame(device, OUT_DEVICE_RESET, "memory could not be unmapped", NULL, NULL);
			device_recover(device, RECOVERY_REOPEN);
			return;
		}
		if (device->reset.wanted && !device->evicting) {
			control_reset_begin(device);
			return;
		}
		if (device->incident_pending || start_cancel(device)) {
			device_recover(device, device->evicting ? RECOVERY_OFFLINE : RECOVERY_ABORT);
			return;
		}
		if (device->evicting) {
			if (device->in_flight_count == 0)
				device_evict(device);
			return;
		}
		if ((is_left(device) || device->dirty) && device->in_flight_count == 0) {
			device_start_switch(device, NULL, NULL);
			return;
		}
		if (device_start_releases(device))
			return;
		if (!device_has_room(device))
			return;
		struct sched_item *item = pick(device);
		if (!item || !feed_one(device, list_entry(item, struct submission, item)))
			return;
	}
}
