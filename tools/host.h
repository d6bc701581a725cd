/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host has: devices that may be NPUs, the driver and the IOMMU group of a device, and who has its node open.
 * Read from sysfs and /proc alone; no device is touched.
 */
#ifndef NPUD_TOOLS_HOST_H
#define NPUD_TOOLS_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define HOST_NAME_BYTES 128
#define HOST_WHAT_BYTES 256
#define HOST_SYS "/sys"
#define HOST_DEV "/dev"

/* What stands in the way: exit codes of doctor, bind and unbind; npuctl(1) lists them. */
enum host_obstacle {
	HOST_NO_DEVICE = 10,
	HOST_NO_IOMMU = 11,
	HOST_GROUP = 12,
	HOST_DRIVER = 13,
	HOST_MODULE = 14,
	HOST_PERMISSION = 15,
	HOST_MEMORY = 16,
	HOST_POWER = 17,
	HOST_REVISION = 18,
	HOST_BUSY = 19, /* of bind and unbind */
	HOST_SWITCH = 20, /* slow at worst: no exit code */
};

/* Where sysfs and the device nodes are. */
struct host {
	const char *sys;
	const char *dev;
};

enum host_bus { HOST_PCI, HOST_PLATFORM };

struct host_device {
	enum host_bus bus;
	char name[HOST_NAME_BYTES]; /* as in sysfs: 0000:01:00.0, 10000000.npu */
	char what[HOST_WHAT_BYTES]; /* for people: class and ids, or compatible string */
	bool likely; /* it looks like an NPU */
};

const char *host_bus_name(enum host_bus bus);

/* The device called @address; the domain 0000: of a PCI address may be left out. -ENODEV when there is none. */
int host_device_find(const struct host *host, const char *address, struct host_device *out);

/* Every device that looks like an NPU, at most @room; returns their number. */
size_t host_devices(const struct host *host, struct host_device *out, size_t room);

/* "vfio-pci" or "vfio-platform": the driver that npud needs on that bus, and whether the kernel has it now. */
const char *host_vfio_driver(enum host_bus bus);
bool host_driver_present(const struct host *host, enum host_bus bus, const char *driver);

/* The driver that has the device; an empty text if none has. */
void host_driver(const struct host *host, const struct host_device *device, char out[HOST_NAME_BYTES]);

/* Is it one of VFIO's own, a variant of vfio-pci included? */
bool host_driver_is_vfio(const char *driver);

/* The vendor's driver, which serves /dev/aipu itself. */
bool host_driver_is_vendor(const char *driver);

/* The number of the device's IOMMU group, or -ENOENT. */
int host_group(const struct host *host, const struct host_device *device);

/*
 * Lists in @out, as "0000:00:1f.0 (ahci), ...", members of the group, other than @except, whose driver keeps VFIO from
 * taking the group. Returns their number.
 */
size_t host_group_foreign(const struct host *host, int group, const char *except, char *out, size_t bytes);

/* Name of the device's own VFIO node ("vfio0"), which kernels with VFIO_DEVICE_CDEV have; empty if there is none. */
void host_cdev(const struct host *host, const struct host_device *device, char out[HOST_NAME_BYTES]);

/*
 * Who has @path open, as "npud (process 712)"; returns whether anybody has. Processes of other users are only visible
 * to root. The caller's own process is not looked at.
 */
bool host_holder(const char *path, char *out, size_t bytes);

#endif
