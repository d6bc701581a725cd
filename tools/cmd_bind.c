/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npuctl bind and unbind: what has to be true before a device is moved between its driver and VFIO. Refuses while
 * anybody has the device open: the kernel would wait for them, for ever if need be.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/bind.h"
#include "tools/cleanup.h"
#include "tools/commands.h"
#include "tools/sysfs.h"

#define OPTIONS_TEXT                                                                                                   \
	"  --state DIR  where the driver that the device had is remembered; /run/npuctl unless given\n"                \
	"  --sys DIR    instead of /sys\n"                                                                             \
	"  --dev DIR    instead of /dev\n"

#define CODES_TEXT                                                                                                     \
	"Exit codes: 0 done, or nothing to do; 1 failed; 2 wrong usage; 10 no such device, or none that looks\n"       \
	"like an NPU"

const char usage_bind[] =
    "usage: npuctl bind ADDRESS [OPTION...]\n"
    "Takes a device (0000:01:00.0, 10000000.npu) from its driver and gives it to vfio-pci or\n"
    "vfio-platform, until `npuctl unbind` or the next start of the host. As root.\n"
    "  --force      also a device that does not look like an NPU, or whose group the kernel uses\n" OPTIONS_TEXT
	CODES_TEXT "; 11 no IOMMU, 12 group, 13 the VFIO driver is missing, 19 in use.\n";

const char usage_unbind[] =
    "usage: npuctl unbind ADDRESS [OPTION...]\n"
    "Takes a device from VFIO and gives it back to the driver that it had. As root.\n"
    "  --force      also a device that does not look like an NPU\n" OPTIONS_TEXT CODES_TEXT "; 19 in use.\n";

struct request {
	const char *command;
	const char *usage;
	const char *address;
	bool force;
	struct binding binding;
};

/* 0, or -1 with *@code set when there is no more to do. */
static int options_parse(int argc, char **argv, struct request *request, int *code)
{
	static const struct option list[] = {
	    {"force", no_argument, NULL, 'f'},     {"sys", required_argument, NULL, 's'},
	    {"dev", required_argument, NULL, 'd'}, {"state", required_argument, NULL, 't'},
	    {"help", no_argument, NULL, 'h'},      {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (option == 'f') {
			request->force = true;
		} else if (option == 's') {
			request->binding.host.sys = optarg;
		} else if (option == 'd') {
			request->binding.host.dev = optarg;
		} else if (option == 't') {
			request->binding.folder = optarg;
		} else {
			*code = option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
			if (option == 'h')
				(void)fputs(request->usage, stdout);
			return -1;
		}
	}
	if (argc - optind != 1) {
		*code = usage_error(request->command, "takes one address");
		return -1;
	}
	request->address = argv[optind];
	return 0;
}

static int device_check(struct request *request, struct reason *why)
{
	struct binding *binding = &request->binding;

	if (host_device_find(&binding->host, request->address, &binding->device) < 0)
		return reason_set(why, HOST_NO_DEVICE,
				  "%.128s: there is no PCI or platform device of that name; do: "
				  "npuctl doctor lists what looks like an NPU",
				  request->address);
	if (!binding->device.likely && !request->force)
		return reason_set(why, HOST_NO_DEVICE, "%s (%s) does not look like an NPU; do: --force if it is one",
				  binding->device.name, binding->device.what);
	return 0;
}

/* The kernel lets one process have a group: its EBUSY is the last word, and knows of other namespaces, too. */
static bool kernel_says_busy(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 && errno == EBUSY;
}

static int busy_say(const struct request *request, const char *path, const char *holder, struct reason *why)
{
	return reason_set(why, HOST_BUSY, "%s: %s has %s open; do: stop it (npud: systemctl stop npud), then again",
			  request->binding.device.name, holder, path);
}

/* VFIO's nodes of the device, and the one that the vendor's driver serves; the latter is not opened: it would wake up.
 */
static int busy_check(const struct request *request, const char *driver, struct reason *why)
{
	const struct binding *binding = &request->binding;
	const char *dev = binding->host.dev;
	char holder[HOST_NAME_BYTES] = "another process";
	char path[SYSFS_PATH_BYTES];
	char cdev[HOST_NAME_BYTES];

	if (host_driver_is_vendor(driver) && sysfs_path(path, "%s/aipu", dev) == 0 &&
	    host_holder(path, holder, sizeof(holder)))
		return busy_say(request, path, holder, why);
	if (!host_driver_is_vfio(driver))
		return 0;
	host_cdev(&binding->host, &binding->device, cdev);
	if (cdev[0] && sysfs_path(path, "%s/vfio/devices/%s", dev, cdev) == 0 &&
	    host_holder(path, holder, sizeof(holder)))
		return busy_say(request, path, holder, why);
	if (sysfs_path(path, "%s/vfio/%d", dev, binding->group) == 0 &&
	    (host_holder(path, holder, sizeof(holder)) || kernel_says_busy(path)))
		return busy_say(request, path, holder, why);
	return 0;
}

/* With --force a group may be taken member by member: the last one makes it viable. */
static int group_check(struct request *request, struct reason *why)
{
	struct binding *binding = &request->binding;
	const char *name = binding->device.name;
	char foreign[SYSFS_TEXT_BYTES];

	if (binding->group < 0)
		return reason_set(why, HOST_NO_IOMMU, "%s: no IOMMU stands between it and memory; do: npuctl doctor %s",
				  name, name);
	if (request->force || !host_group_foreign(&binding->host, binding->group, name, foreign, sizeof(foreign)))
		return 0;
	return reason_set(why, HOST_GROUP,
			  "%s: its IOMMU group %d also holds %.200s, in use by the kernel; do: npuctl bind --force for "
			  "these first, or move the card to another slot",
			  name, binding->group, foreign);
}

static void bound_say(const struct binding *binding)
{
	const char *before = binding->before.driver;
	const char *name = binding->device.name;
	char foreign[SYSFS_TEXT_BYTES];

	printf("%s: %s has it now, %s had it before; IOMMU group %d", name, host_vfio_driver(binding->device.bus),
	       before[0] ? before : "no driver", binding->group);
	if (host_group_foreign(&binding->host, binding->group, name, foreign, sizeof(foreign)))
		printf(", where the kernel still uses %s", foreign);
	printf("\n");
}

static int driver_check(const struct request *request, struct reason *why)
{
	enum host_bus bus = request->binding.device.bus;
	const char *wanted = host_vfio_driver(bus);

	if (host_driver_present(&request->binding.host, bus, wanted))
		return 0;
	return reason_set(why, HOST_DRIVER, "%s: the kernel has no driver %s; do: modprobe %s%s",
			  request->binding.device.name, wanted, wanted,
			  bus == HOST_PLATFORM ? " reset_required=0 (the kernel needs CONFIG_VFIO_PLATFORM)" : "");
}

static void override_read(const struct binding *binding, char out[HOST_NAME_BYTES])
{
	(void)sysfs_read(out, HOST_NAME_BYTES, "%s/bus/%s/devices/%s/driver_override", binding->host.sys,
			 host_bus_name(binding->device.bus), binding->device.name);
	if (strcmp(out, "(null)") == 0) /* what the kernel shows where there is none */
		out[0] = '\0';
}

static int bind_run(struct request *request, struct reason *why)
{
	struct binding *binding = &request->binding;
	struct bind_state *before = &binding->before;
	const char *name = binding->device.name;

	host_driver(&binding->host, &binding->device, before->driver);
	if (host_driver_is_vfio(before->driver)) {
		printf("%s: %s has it already\n", name, before->driver);
		return 0;
	}
	int code = driver_check(request, why);
	if (!code)
		code = group_check(request, why);
	if (!code)
		code = busy_check(request, before->driver, why);
	if (code)
		return code;
	override_read(binding, before->override);
	int error = bind_device(binding, why);
	if (error)
		return EXIT_FAILURE;
	bound_say(binding);
	return 0;
}

/* Nothing is left to unbind; an override or a memory may be, of a device that was taken away and came again. */
static int leftovers_clear(struct request *request, const char *driver, struct reason *why)
{
	struct binding *binding = &request->binding;
	char override[HOST_NAME_BYTES];

	override_read(binding, override);
	if (host_driver_is_vfio(override) && bind_override(binding, binding->before.override, why) < 0)
		return EXIT_FAILURE;
	bind_state_forget(binding->folder, binding->device.name);
	printf("%s: VFIO does not have it; %s%s\n", binding->device.name, driver[0] ? driver : "no driver",
	       driver[0] ? " does" : " does either");
	return 0;
}

static int unbind_run(struct request *request, struct reason *why)
{
	struct binding *binding = &request->binding;
	char driver[HOST_NAME_BYTES];

	binding->known = bind_state_read(binding->folder, binding->device.name, &binding->before) == 0;
	host_driver(&binding->host, &binding->device, driver);
	if (!host_driver_is_vfio(driver))
		return leftovers_clear(request, driver, why);
	int code = busy_check(request, driver, why);
	if (code)
		return code;
	if (unbind_device(binding, why) < 0)
		return EXIT_FAILURE;
	host_driver(&binding->host, &binding->device, driver);
	printf("%s: %s%s", binding->device.name, driver[0] ? driver : "no driver",
	       driver[0] ? " has it again" : " has it now");
	if (binding->known && binding->before.driver[0] && !driver[0])
		printf("; %s, which had it, is not loaded", binding->before.driver);
	printf("\n");
	return 0;
}

static int command_run_one(int argc, char **argv, const char *command, const char *usage,
			   int (*run)(struct request *, struct reason *))
{
	struct request request = {.command = command,
				  .usage = usage,
				  .binding = {.host = {.sys = HOST_SYS, .dev = HOST_DEV}, .folder = BIND_STATE}};
	struct reason why = {0};
	int code = 0;

	if (options_parse(argc, argv, &request, &code) < 0)
		return code;
	code = device_check(&request, &why);
	if (!code) {
		request.binding.group = host_group(&request.binding.host, &request.binding.device);
		code = run(&request, &why);
	}
	if (code)
		(void)fprintf(stderr, "npuctl %s: %s\n", command, why.text);
	return code;
}

int command_bind(int argc, char **argv)
{
	return command_run_one(argc, argv, "bind", usage_bind, bind_run);
}

int command_unbind(int argc, char **argv)
{
	return command_run_one(argc, argv, "unbind", usage_unbind, unbind_run);
}
