/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker does with a device: switch the tenure, climb a rung, open, close. It runs while the loop keeps
 * its hands off, and touches the request, the transport and the NPU, nothing else of the daemon.
 */
#include <errno.h>
#include <unistd.h>

#include "daemon/core/device.h"
#include "daemon/util/clock.h"

/* Pauses double: a device that is nearly idle is not kept waiting, one that is late (its host may be) gets 25 ms. */
#define IDLE_POLLS 9
#define IDLE_POLL_NS 50000
#define DRAIN_ROUNDS 512 /* more than any device can have pending: a driver gives one cause a call */

int device_fail_at(struct device_work *work, const char *stage, int error)
{
	work->stage = stage;
	return error;
}

/* The pool is in order: a later completion stands for an earlier one when there is no room for both. */
static void keep_late(struct device_work *work, const struct npu_event *event)
{
	if (event->kind != NPU_EVENT_DONE)
		return;
	if (work->late_count < DEVICE_LATE_EVENTS)
		work->late_count++;
	work->late[work->late_count - 1] = *event;
}

/* Keep what the interrupts say for the loop to match, and leave the device's status clean. -EIO if it does not end. */
static int drain(struct device_work *work)
{
	struct npu_device *npu = work->device->npu;
	struct npu_event events[NPU_MAX_EVENTS];

	for (int round = 0; round < DRAIN_ROUNDS; round++) {
		int count = npu->ops->irq_collect(npu, events);
		if (count < 0)
			return count;
		if (count == 0)
			return npu->ops->irq_finish(npu);
		for (int i = 0; i < count; i++) {
			keep_late(work, &events[i]);
			/* Nobody listens any more: let the emitter go. */
			if (events[i].kind == NPU_EVENT_SIGNAL) {
				int error = npu->ops->irq_ack_signal(npu);
				if (error < 0)
					return error;
			}
		}
	}
	return -EIO;
}

/* 1 idle, 0 still busy after a bounded wait. */
static int wait_idle(struct npu_device *npu)
{
	uint64_t pause = IDLE_POLL_NS;
	int idle = npu->ops->is_idle(npu);

	for (int i = 0; i < IDLE_POLLS && idle == 0; i++) {
		clock_pause(pause);
		pause *= 2;
		idle = npu->ops->is_idle(npu);
	}
	return idle;
}

static int reset(struct device_work *work)
{
	struct npu_device *npu = work->device->npu;
	int error = npu->ops->soft_reset(npu);

	if (error == 0)
		error = npu->ops->init(npu);
	if (error == 0)
		work->was_reset = true;
	return error < 0 ? device_fail_at(work, "soft reset", error) : 0;
}

/* The cores may be idle a little before the task manager has parked behind the last chain. */
int device_destroy_pool(struct npu_device *npu)
{
	uint64_t pause = IDLE_POLL_NS;
	int error = npu->ops->pool_destroy(npu);

	for (int i = 0; i < IDLE_POLLS && error == -EBUSY; i++) {
		clock_pause(pause);
		pause *= 2;
		error = npu->ops->pool_destroy(npu);
	}
	return error;
}

/* Idle as the registers say, else abort, else reset; then the pool goes. */
static int leave_pool(struct device_work *work)
{
	struct npu_device *npu = work->device->npu;
	int idle = wait_idle(npu);

	if (idle == 0 && npu->ops->pool_abort(npu) == 0)
		idle = wait_idle(npu);
	if (idle == -ENODEV)
		return device_fail_at(work, "idle check", idle);
	int error = drain(work);
	if (error < 0)
		return device_fail_at(work, "interrupt drain", error);
	error = idle == 1 ? device_destroy_pool(npu) : -EBUSY;
	if (error == 0 || error == -ENODEV)
		return error < 0 ? device_fail_at(work, "pool destroy", error) : 0;
	return reset(work);
}

static int scrub_gm(struct device_work *work)
{
	struct device *device = work->device;
	int error = 0;

	if (!device->scrubber)
		error = scrubber_new(device, &device->scrubber);
	if (error == 0)
		error = scrubber_run(device);
	return error < 0 ? device_fail_at(work, "scrub of global memory", error) : 0;
}

static int run_switch(struct device_work *work)
{
	struct npu_device *npu = work->device->npu;
	int error = work->leave_pool ? leave_pool(work) : 0;

	if (error == 0 && work->scrub && !work->was_reset)
		error = reset(work);
	if (error == 0)
		error = device_unmap_all(work);
	if (error == 0 && work->scrub_gm)
		error = scrub_gm(work);
	if (error == 0)
		error = device_map_all(work);
	if (error == 0) {
		/* In one step: there is no moment at which the device reaches anything else. */
		error = device_attach(work->device, work->attach);
		if (error < 0)
			return device_fail_at(work, "attach", error);
	}
	if (error == 0 && work->make_pool) {
		error = npu->ops->pool_create(npu);
		if (error < 0)
			return device_fail_at(work, "pool create", error);
	}
	return error;
}

/* The same session goes on: nothing is unmapped, and there is nothing to scrub. */
static int run_renew(struct device_work *work)
{
	int error = leave_pool(work);

	if (error == 0)
		error = work->device->npu->ops->pool_create(work->device->npu);
	return error < 0 ? device_fail_at(work, "new pool", error) : 0;
}

static int rung_abort(struct device_work *work)
{
	struct npu_device *npu = work->device->npu;
	/* Not every device may keep what is pending over an abort: look before it as late as possible, and after it. */
	int error = drain(work);

	if (error == 0) {
		error = npu->ops->pool_abort(npu);
		if (error < 0)
			return device_fail_at(work, "abort", error);
		error = drain(work);
	}
	if (error < 0)
		return device_fail_at(work, "interrupt drain", error);
	int idle = wait_idle(npu);
	if (idle < 0)
		return device_fail_at(work, "idle check", idle);
	return idle == 1 ? 0 : device_fail_at(work, "abort (the device is still busy)", -EBUSY);
}

static int rung_reset(struct device_work *work)
{
	struct device *device = work->device;
	int error = 0;

	if (work->rung == RECOVERY_TRANSPORT_RESET) {
		error = device->vfio->ops->reset(device->vfio);
		if (error < 0)
			return device_fail_at(work, "transport reset", error);
		error = device->npu->ops->init(device->npu);
		work->was_reset = error == 0;
	} else {
		/* What has ended is known now or never: afterwards it would run twice, or be called lost. */
		error = drain(work);
		if (error != -ENODEV)
			error = reset(work);
	}
	if (error == 0 && work->make_pool)
		error = device->npu->ops->pool_create(device->npu);
	return error < 0 ? device_fail_at(work, recovery_rung_name(work->rung), error) : 0;
}

/* The device's last moments: whatever it still does, it reaches no memory. */
static void run_close(struct device_work *work)
{
	struct device *device = work->device;

	if (device->vfio && work->quiet) {
		if (device->npu->ops->quiesce(device->npu) < 0)
			work->stage = "quiesce";
		(void)device_attach(device, NULL);
		(void)device_unmap_all(work);
	}
	/* Its mappings were made through the transport. */
	scrubber_free(device->scrubber);
	device->scrubber = NULL;
	npu_free(device->npu);
	vfio_close(device->vfio);
	device->npu = NULL;
	device->vfio = NULL;
}

static int run_open(struct device_work *work)
{
	struct device *device = work->device;
	int error = device->source.open(device->source.user, &work->vfio, &work->npu, work->why, sizeof(work->why));

	return error < 0 ? device_fail_at(work, "open", error) : 0;
}

static int rung_reopen(struct device_work *work)
{
	work->quiet = true;
	run_close(work);
	return run_open(work);
}

static int run_rung(struct device_work *work)
{
	switch (work->rung) {
	case RECOVERY_ABORT:
		return rung_abort(work);
	case RECOVERY_REOPEN:
		return rung_reopen(work);
	case RECOVERY_OFFLINE:
		work->quiet = true;
		run_close(work);
		return 0;
	case RECOVERY_SOFT_RESET:
	case RECOVERY_TRANSPORT_RESET:
	case RECOVERY_RUNGS:
	default:
		return rung_reset(work);
	}
}

void device_work_run(struct work *base)
{
	struct device_work *work = list_entry(base, struct device_work, work);

	switch (work->op) {
	case DEV_OP_SWITCH:
		work->result = run_switch(work);
		break;
	case DEV_OP_RENEW:
		work->result = run_renew(work);
		break;
	case DEV_OP_MAP:
		work->result = device_map_all(work);
		break;
	case DEV_OP_UNMAP:
		work->result = device_unmap_all(work);
		break;
	case DEV_OP_RUNG:
		work->result = run_rung(work);
		break;
	case DEV_OP_OPEN:
		work->result = run_open(work);
		break;
	case DEV_OP_CLOSE:
	default:
		run_close(work);
		break;
	}
}

void device_work_start(struct device *device, enum device_op op, enum device_state state)
{
	struct device_work *work = &device->work;

	device->state = state;
	device->busy = true;
	if (device->hooks)
		device->hooks->watch(device->user, false);
	work->op = op;
	work->failed = NULL;
	work->mapped_count = 0;
	work->unmapped_count = 0;
	work->vfio = NULL;
	work->npu = NULL;
	work->was_reset = false;
	/* What a rung that failed has heard still counts when the next one succeeds. */
	if (op != DEV_OP_RUNG)
		work->late_count = 0;
	work->result = 0;
	work->stage = "";
	worker_submit(device->worker, &work->work);
}
