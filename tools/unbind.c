/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes a device from VFIO and lets the driver that it had have it again. Without a memory of that driver the kernel's
 * own matching decides.
 */
#include <errno.h>
#include <string.h>

#include "tools/bind.h"
#include "tools/sysfs.h"

/* VFIO lets go. Nothing is lost if it does not: the override is put back. */
static int release(struct binding *binding, struct reason *why)
{
	char now[HOST_NAME_BYTES];
	struct reason undo;
	int error = bind_override(binding, binding->before.override, why);

	if (error)
		return error;
	error = bind_detach(binding, why);
	if (error) {
		host_driver(&binding->host, &binding->device, now);
		(void)bind_override(binding, now, &undo);
	}
	return error;
}

/* A driver that was bound by hand is not found by matching, but by its name. */
static int driver_restore(const struct binding *binding, struct reason *why)
{
	const char *driver = binding->before.driver;
	char attribute[SYSFS_PATH_BYTES];

	if (bind_wait(binding, driver))
		return 0;
	(void)sysfs_path(attribute, "drivers/%s/bind", driver);
	int error = bind_write(binding, attribute, binding->device.name, why);
	if (!error && !bind_wait(binding, driver))
		error = reason_set(why, -ENODEV, "%s does not take the device; do: dmesg | tail", driver);
	return error;
}

/* VFIO took it again: its list of ids names the device, and no override was needed. */
static int took_again(const struct binding *binding, struct reason *why)
{
	char now[HOST_NAME_BYTES];

	if (binding->known)
		host_driver(&binding->host, &binding->device, now);
	else
		bind_settle(binding, now);
	if (!host_driver_is_vfio(now) || strcmp(now, binding->before.driver) == 0)
		return 0;
	return reason_set(why, -EBUSY,
			  "%s takes the device again, without an override; do: take its ids from vfio-pci.ids= on the "
			  "kernel command line or in /etc/modprobe.d",
			  now);
}

int unbind_device(struct binding *binding, struct reason *why)
{
	const char *driver = binding->before.driver;
	int error = release(binding, why);

	if (error)
		return error;
	/*
	 * A driver whose module is gone comes back with it: the override is cleared, and that is all there is to do.
	 * Where one is known, a failed probe is not the last word.
	 */
	error = bind_probe(binding, why);
	if (driver[0])
		error =
		    host_driver_present(&binding->host, binding->device.bus, driver) ? driver_restore(binding, why) : 0;
	if (!error)
		error = took_again(binding, why);
	if (!error)
		bind_state_forget(binding->folder, binding->device.name);
	return error;
}
