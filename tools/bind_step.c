/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writes to sysfs that move a device. The kernel finishes each before write() returns; the link `driver` is looked
 * at all the same, since a probe that fails leaves no other trace.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "tools/bind.h"
#include "tools/sysfs.h"

#define WAIT_MS 3000
#define WAIT_STEP_MS 10

static const struct timespec wait_step = {.tv_nsec = WAIT_STEP_MS * 1000000L};

int bind_write(const struct binding *binding, const char *attribute, const char *text, struct reason *why)
{
	const struct host_device *device = &binding->device;
	char path[SYSFS_PATH_BYTES];
	int error = sysfs_path(path, "%s/bus/%s/%s", binding->host.sys, host_bus_name(device->bus), attribute);

	if (!error)
		error = sysfs_write(path, text);
	if (!error)
		return 0;
	return reason_set(why, error, "writing '%s' to %s: %s%s", text[0] == '\n' ? "" : text, path, strerror(-error),
			  error == -EACCES || error == -EPERM ? "; do: run npuctl as root" : "");
}

int bind_override(const struct binding *binding, const char *driver, struct reason *why)
{
	char attribute[SYSFS_PATH_BYTES];

	(void)sysfs_path(attribute, "devices/%s/driver_override", binding->device.name);
	/* An empty line clears it. */
	return bind_write(binding, attribute, *driver ? driver : "\n", why);
}

bool bind_wait(const struct binding *binding, const char *driver)
{
	char now[HOST_NAME_BYTES];

	for (int waited = 0; waited <= WAIT_MS; waited += WAIT_STEP_MS) {
		host_driver(&binding->host, &binding->device, now);
		if (strcmp(now, driver) == 0)
			return true;
		(void)nanosleep(&wait_step, NULL);
	}
	return false;
}

void bind_settle(const struct binding *binding, char out[HOST_NAME_BYTES])
{
	for (int waited = 0; waited <= WAIT_MS; waited += WAIT_STEP_MS) {
		host_driver(&binding->host, &binding->device, out);
		if (out[0])
			return;
		(void)nanosleep(&wait_step, NULL);
	}
}

int bind_detach(const struct binding *binding, struct reason *why)
{
	char attribute[SYSFS_PATH_BYTES];
	char driver[HOST_NAME_BYTES];

	host_driver(&binding->host, &binding->device, driver);
	if (!driver[0])
		return 0;
	(void)sysfs_path(attribute, "drivers/%s/unbind", driver);
	int error = bind_write(binding, attribute, binding->device.name, why);
	if (error)
		return error;
	return bind_wait(binding, "") ? 0 : reason_set(why, -EBUSY, "%s does not let go of the device", driver);
}

int bind_probe(const struct binding *binding, struct reason *why)
{
	return bind_write(binding, "drivers_probe", binding->device.name, why);
}
