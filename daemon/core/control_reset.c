/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reset that an operator asked for: it is accepted here, climbed by device_recover.c or opened by device_life.c, and
 * its end is written down here. One at a time for each device.
 */
#include "daemon/core/control.h"

#include <errno.h>
#include <stdio.h>

#include "daemon/core/device.h"
#include "daemon/core/session.h"
#include "daemon/log.h"
#include "daemon/util/clock.h"

static void reset_start(const struct session *admin, struct device *device)
{
	const struct session_identity *who = &admin->identity;
	struct device_reset *reset = &device->reset;

	log_event(LOG_LEVEL_WARN, "device.reset_asked", LOG_STR("device", device->name), LOG_U64("uid", who->uid),
		  LOG_U64("pid", (uint64_t)who->pid), LOG_U64("session", admin->id),
		  LOG_U64("in_flight", device->in_flight_count));
	*reset = (struct device_reset){.number = reset->number + 1, .state = RESET_RUNNING, .asked = clock_now()};
}

/* Offline, or gone: the transport is closed, and what is left is to open it again. */
static int reopen(const struct session *admin, struct device *device, struct fail *fail)
{
	if (device->busy || !device->closed)
		return fail_set(fail, EAGAIN, "device %s: it is being opened or closed just now; try again",
				device->name);
	if (!device->source.open)
		return fail_set(fail, ENOTSUP,
				"device %s: %s; it cannot be opened again: power-cycle it, then restart npud",
				device->name, device->reason);
	reset_start(admin, device);
	device_work_start(device, DEV_OP_OPEN, device->state);
	return 0;
}

int control_reset(const struct session *admin, struct device *device, struct fail *fail)
{
	if (device->state == DEV_OFFLINE || device->state == DEV_GONE)
		return reopen(admin, device, fail);
	if (device->lost || device->evicting)
		return fail_set(fail, ENODEV, "device %s: %s", device->name,
				device->lost ? "it went away" : "the host asked for it back");
	if (device->reset.state == RESET_RUNNING || device->state == DEV_RECOVERING)
		return fail_set(fail, EAGAIN, "device %s: a recovery is under way; try again when it has ended",
				device->name);
	reset_start(admin, device);
	device->reset.wanted = true;
	device_pump(device);
	return 0;
}

void control_reset_begin(struct device *device)
{
	device->reset.wanted = false;
	/* What somebody did just now is judged as it would have been. */
	if (!device->incident_pending) {
		device_blame(device, OUT_DEVICE_RESET, "an operator asked for a reset", NULL, NULL);
		device->incident.asked = true;
	}
	device_recover(device, RECOVERY_SOFT_RESET);
}

static bool end(struct device_reset *reset, enum reset_state state)
{
	if (reset->state != RESET_RUNNING)
		return false;
	reset->state = state;
	reset->wanted = false;
	reset->ns = nsec_since(clock_now(), reset->asked);
	return true;
}

void control_reset_done(struct device *device, enum recovery_rung rung)
{
	struct device_reset *reset = &device->reset;

	/* A climb that began before it does not count. */
	if (reset->wanted || !end(reset, RESET_DONE))
		return;
	reset->rung = rung;
	log_event(LOG_LEVEL_INFO, "device.reset_done", LOG_STR("device", device->name),
		  LOG_STR("rung", recovery_rung_name(rung)), LOG_U64("ns", reset->ns));
}

void control_reset_failed(struct device *device, const char *reason)
{
	struct device_reset *reset = &device->reset;

	if (!end(reset, RESET_FAILED))
		return;
	if (snprintf(reset->reason, sizeof(reset->reason), "%s; %s", reason,
		     device->state == DEV_OFFLINE ? "power-cycle it, then reset it again"
						  : "npud opens it again when it is back") < 0)
		reset->reason[0] = '\0';
	log_event(LOG_LEVEL_ERROR, "device.reset_failed", LOG_STR("device", device->name),
		  LOG_STR("reason", reset->reason));
}
