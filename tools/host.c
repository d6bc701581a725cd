/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that may be NPUs, and their drivers. Zhouyi NPUs have no PCI ids of their own, so on PCI the class decides;
 * on the platform bus the compatible strings and ACPI ids of the vendor's driver do.
 */
#include "tools/host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/sysfs.h"

#define CLASS_ACCELERATOR "0x1200" /* processing accelerator, any programming interface */
#define ACPI_SKY1 "CIXH4000"

const char *host_bus_name(enum host_bus bus)
{
	return bus == HOST_PCI ? "pci" : "platform";
}

const char *host_vfio_driver(enum host_bus bus)
{
	return bus == HOST_PCI ? "vfio-pci" : "vfio-platform";
}

bool host_driver_present(const struct host *host, enum host_bus bus, const char *driver)
{
	return sysfs_exists("%s/bus/%s/drivers/%s", host->sys, host_bus_name(bus), driver);
}

void host_driver(const struct host *host, const struct host_device *device, char out[HOST_NAME_BYTES])
{
	(void)sysfs_link(out, HOST_NAME_BYTES, "%s/bus/%s/devices/%s/driver", host->sys, host_bus_name(device->bus),
			 device->name);
}

bool host_driver_is_vfio(const char *driver)
{
	static const char variant[] = "vfio-pci"; /* mlx5_vfio_pci calls itself mlx5-vfio-pci, and so do the others */
	size_t length = strlen(driver);

	if (strcmp(driver, "vfio-platform") == 0 || strcmp(driver, "vfio-amba") == 0)
		return true;
	return length >= sizeof(variant) - 1 && strcmp(driver + length - (sizeof(variant) - 1), variant) == 0;
}

bool host_driver_is_vendor(const char *driver)
{
	return strstr(driver, "armchina") || strstr(driver, "aipu") || strstr(driver, "zhouyi");
}

static void pci_identify(const struct host *host, struct host_device *device)
{
	char class[16];
	char vendor[16];
	char id[16];

	(void)sysfs_read(class, sizeof(class), "%s/bus/pci/devices/%s/class", host->sys, device->name);
	(void)sysfs_read(vendor, sizeof(vendor), "%s/bus/pci/devices/%s/vendor", host->sys, device->name);
	(void)sysfs_read(id, sizeof(id), "%s/bus/pci/devices/%s/device", host->sys, device->name);
	device->likely = strncmp(class, CLASS_ACCELERATOR, sizeof(CLASS_ACCELERATOR) - 1) == 0;
	(void)snprintf(device->what, sizeof(device->what), "PCI, class %s, vendor %s, device %s", class, vendor, id);
}

/* "armchina,zhouyi", "armchina,zhouyi-v3", and those of R329's glue, which has no vendor in front. */
static bool compatible_known(const char *text)
{
	static const char vendor[] = "armchina,";

	if (strncmp(text, vendor, sizeof(vendor) - 1) == 0)
		text += sizeof(vendor) - 1;
	return strncmp(text, "zhouyi", strlen("zhouyi")) == 0;
}

static void tree_identify(struct host_device *device, const char *strings, size_t bytes)
{
	(void)snprintf(device->what, sizeof(device->what), "platform, compatible %.200s", strings);
	for (size_t at = 0; at < bytes; at += strlen(strings + at) + 1) {
		if (!compatible_known(strings + at))
			continue;
		device->likely = true;
		(void)snprintf(device->what, sizeof(device->what), "platform, compatible %.200s", strings + at);
		return;
	}
}

static void platform_identify(const struct host *host, struct host_device *device)
{
	char text[SYSFS_TEXT_BYTES];
	int bytes =
	    sysfs_read(text, sizeof(text), "%s/bus/platform/devices/%s/of_node/compatible", host->sys, device->name);

	device->likely = false;
	if (bytes > 0) {
		tree_identify(device, text, (size_t)bytes);
		return;
	}
	if (sysfs_read(text, sizeof(text), "%s/bus/platform/devices/%s/firmware_node/hid", host->sys, device->name) <=
	    0)
		(void)snprintf(text, sizeof(text), "none");
	device->likely = strcmp(text, ACPI_SKY1) == 0;
	(void)snprintf(device->what, sizeof(device->what), "platform, ACPI id %.64s", text);
}

static int device_fill(const struct host *host, enum host_bus bus, const char *name, struct host_device *out)
{
	if (strlen(name) >= sizeof(out->name) ||
	    !sysfs_exists("%s/bus/%s/devices/%s", host->sys, host_bus_name(bus), name))
		return -ENODEV;
	*out = (struct host_device){.bus = bus};
	memcpy(out->name, name, strlen(name) + 1);
	if (bus == HOST_PCI)
		pci_identify(host, out);
	else
		platform_identify(host, out);
	return 0;
}

int host_device_find(const struct host *host, const char *address, struct host_device *out)
{
	char full[HOST_NAME_BYTES];

	/* A name with a slash, or a dot in front, would lead out of the folder of devices. */
	if (!*address || *address == '.' || strchr(address, '/'))
		return -ENODEV;
	if (device_fill(host, HOST_PCI, address, out) == 0 || device_fill(host, HOST_PLATFORM, address, out) == 0)
		return 0;
	(void)snprintf(full, sizeof(full), "0000:%s", address);
	return device_fill(host, HOST_PCI, full, out);
}

size_t host_devices(const struct host *host, struct host_device *out, size_t room)
{
	size_t count = 0;

	for (enum host_bus bus = HOST_PCI; bus <= HOST_PLATFORM; bus++) {
		struct sysfs_names names sysfs_names_cleanup = {0};

		sysfs_list(&names, "%s/bus/%s/devices", host->sys, host_bus_name(bus));
		for (int i = 0; i < names.count && count < room; i++)
			if (device_fill(host, bus, names.entries[i]->d_name, &out[count]) == 0 && out[count].likely)
				count++;
	}
	return count;
}

void host_cdev(const struct host *host, const struct host_device *device, char out[HOST_NAME_BYTES])
{
	struct sysfs_names names sysfs_names_cleanup = {0};

	out[0] = '\0';
	sysfs_list(&names, "%s/bus/%s/devices/%s/vfio-dev", host->sys, host_bus_name(device->bus), device->name);
	/* Without a number it is a child of the device that no node leads to: a kernel without the character device. */
	if (names.count > 0 && sysfs_exists("%s/bus/%s/devices/%s/vfio-dev/%s/dev", host->sys,
					    host_bus_name(device->bus), device->name, names.entries[0]->d_name))
		(void)snprintf(out, HOST_NAME_BYTES, "%.100s", names.entries[0]->d_name);
}
