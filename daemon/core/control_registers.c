/* SPDX-License-Identifier: Apache-2.0 */
/* A look at a device's registers; see control.h. Chooses no address, writes none, and reads each once. */
#include "daemon/core/control.h"

#include <errno.h>
#include <string.h>

#include "daemon/core/device.h"
#include "daemon/core/session.h"
#include "daemon/log.h"

static int check(const struct device *device, struct fail *fail)
{
	if (!device_is_usable(device))
		return fail_set(fail, ENODEV, "device %s: %s", device->name,
				device->lost ? "it went away" : device->reason);
	if (device->state != DEV_READY)
		return fail_set(fail, EAGAIN, "device %s: it %s just now; try again", device->name,
				device->state == DEV_RECOVERING ? "recovers" : "changes hands or maps memory");
	if (!device->npu->ops->registers)
		return fail_set(fail, ENOTSUP, "device %s: no registers of its generation are known to be harmless",
				device->name);
	return 0;
}

int control_registers(const struct session *admin, struct device *device, struct npu_register out[NPU_MAX_REGISTERS],
		      struct fail *fail)
{
	const struct session_identity *who = &admin->identity;
	int count = check(device, fail);

	if (count < 0)
		return count;
	log_peer_event(who->uid, LOG_LEVEL_INFO, "device.registers", LOG_STR("device", device->name),
		       LOG_U64("uid", who->uid), LOG_U64("pid", (uint64_t)who->pid), LOG_U64("session", admin->id));
	count = device->npu->ops->registers(device->npu, out);
	if (count >= 0)
		return count;
	/* Nobody answers: the device's own affairs find that out and act upon it. */
	if (count == -ENODEV) {
		device->lost = true;
		device_pump(device);
	}
	return fail_set(fail, -count, "device %s: its registers cannot be read: %s", device->name, strerror(-count));
}
