/* SPDX-License-Identifier: Apache-2.0 */
/* Draining a device, and taking it back into service; see control.h. Ends nothing that was accepted. */
#include "daemon/core/control.h"

#include <errno.h>

#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/move.h"
#include "daemon/core/session.h"
#include "daemon/log.h"

/* Idle sessions go at once; the others with their next submission. */
static void set_drained(struct device *device, bool drained)
{
	device->drained = drained;
	host_device_changed(device->host, device);
	device_pump(device);
}

void control_drain(const struct session *admin, struct device *device)
{
	const struct session_identity *who = &admin->identity;

	if (device->drained)
		return;
	log_event(LOG_LEVEL_WARN, "device.drained", LOG_STR("device", device->name), LOG_U64("uid", who->uid),
		  LOG_U64("pid", (uint64_t)who->pid), LOG_U64("session", admin->id),
		  LOG_U64("submissions", control_use(device).submissions));
	set_drained(device, true);
}

void control_resume(const struct session *admin, struct device *device)
{
	const struct session_identity *who = &admin->identity;

	if (!device->drained)
		return;
	log_event(LOG_LEVEL_WARN, "device.resumed", LOG_STR("device", device->name), LOG_U64("uid", who->uid),
		  LOG_U64("pid", (uint64_t)who->pid), LOG_U64("session", admin->id),
		  LOG_U64("submissions", control_use(device).submissions));
	set_drained(device, false);
}

static bool has_other(const struct device *device)
{
	const struct host *host = device->host;

	for (uint32_t i = 0; i < host->device_count; i++)
		if (device_takes_new(host->devices[i]))
			return true;
	return false;
}

int control_leave_drained(struct session *session, struct fail *fail)
{
	if (!session->seat->drained || move_away(session))
		return 0;
	const struct device *seat = session->seat;
	return fail_set(fail, ENODEV, "device %s is drained and takes nothing new: %s", seat->name,
			has_other(seat) ? "connect again for another device, or resume it (npuctl resume)"
					: "no other device takes work; resume it (npuctl resume)");
}

bool control_is_empty(const struct device *device)
{
	return device->drained && device->occupied == 0;
}

/* Nothing of its own may happen to it any more, and somebody idle may hold it. */
void control_vacated(struct device *device)
{
	if (control_is_empty(device))
		device_wake(device);
}

struct device_use control_use(const struct device *device)
{
	struct device_use use = {.sessions = device->sessions, .busy = device->occupied};

	list_each (node, next, &device->host->sessions) {
		const struct session *session = list_entry(node, struct session, link);
		if (session->seat == device)
			use.submissions += session->active;
	}
	return use;
}
