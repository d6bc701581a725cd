/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives a device to VFIO. The order is the kernel's: override first, so that no other driver can slip in between, then
 * detach, then probe. A failure walks the same way back.
 */
#include "tools/bind.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "tools/sysfs.h"

#define NODE_WAIT_MS 3000
#define NODE_STEP_MS 10

/* The group's node, or the device's own on a kernel that has no others. */
static bool node_exists(const struct binding *binding)
{
	char cdev[HOST_NAME_BYTES];

	if (sysfs_exists("%s/vfio/%d", binding->host.dev, binding->group))
		return true;
	host_cdev(&binding->host, &binding->device, cdev);
	return cdev[0] && sysfs_exists("%s/vfio/devices/%s", binding->host.dev, cdev);
}

static int node_wait(const struct binding *binding, struct reason *why)
{
	static const struct timespec step = {.tv_nsec = NODE_STEP_MS * 1000000L};

	for (int waited = 0; waited <= NODE_WAIT_MS; waited += NODE_STEP_MS) {
		if (node_exists(binding))
			return 0;
		(void)nanosleep(&step, NULL);
	}
	return reason_set(why, -ENOENT,
			  "the driver has the device, but %s/vfio/%d does not appear; do: look whether devtmpfs is "
			  "mounted at %s",
			  binding->host.dev, binding->group, binding->host.dev);
}

static int probe_take(struct binding *binding, struct reason *why)
{
	const char *wanted = host_vfio_driver(binding->device.bus);
	struct reason write = {0};
	int error = bind_probe(binding, &write);

	binding->probed = true;
	if (!error && bind_wait(binding, wanted))
		return node_wait(binding, why);
	return reason_set(why, error ? error : -ENODEV,
			  "%s did not take the device%s%.200s%s; do: dmesg | tail, npuctl doctor %s%s", wanted,
			  error ? " (" : "", write.text, error ? ")" : "", binding->device.name,
			  binding->device.bus == HOST_PLATFORM ? ", vfio-platform reset_required=0" : "");
}

static int steps_take(struct binding *binding, struct reason *why)
{
	int error = bind_state_write(binding->folder, binding->device.name, &binding->before, why);

	if (error)
		return error;
	binding->remembered = true;
	error = bind_override(binding, host_vfio_driver(binding->device.bus), why);
	if (error)
		return error;
	binding->overridden = true;
	error = bind_detach(binding, why);
	if (error)
		return error;
	binding->detached = true;
	return probe_take(binding, why);
}

/* Brings the old driver back; the state stays remembered if that fails. */
static int steps_undo(struct binding *binding, struct reason *why)
{
	int error = 0;

	if (binding->overridden)
		error = bind_override(binding, binding->before.override, why);
	if (!error && binding->probed)
		error = bind_detach(binding, why);
	if (!error && binding->detached && binding->before.driver[0]) {
		error = bind_probe(binding, why);
		if (!error && !bind_wait(binding, binding->before.driver))
			error = reason_set(why, -ENODEV, "%s does not take it back", binding->before.driver);
	}
	if (!error && binding->remembered)
		bind_state_forget(binding->folder, binding->device.name);
	return error;
}

int bind_device(struct binding *binding, struct reason *why)
{
	struct reason first = {0};
	struct reason undo = {0};
	int error = steps_take(binding, &first);

	if (!error)
		return 0;
	if (!binding->remembered)
		return reason_set(why, error, "%.400s; nothing was changed", first.text);
	if (steps_undo(binding, &undo) == 0)
		return reason_set(why, error, "%.400s; everything is as it was: %s%s", first.text,
				  binding->before.driver[0] ? binding->before.driver : "no driver",
				  binding->before.driver[0] ? " has the device" : "");
	return reason_set(why, error, "%.250s; and the way back failed: %.200s; do: npuctl unbind %.100s", first.text,
			  undo.text, binding->device.name);
}
