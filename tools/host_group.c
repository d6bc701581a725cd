/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IOMMU groups: the smallest set of devices that the IOMMU can tell apart. VFIO gives out a group whole, so a driver of
 * the kernel on any member keeps the NPU away.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/host.h"
#include "tools/sysfs.h"

int host_group(const struct host *host, const struct host_device *device)
{
	char text[32];
	char *end = NULL;
	int error = sysfs_link(text, sizeof(text), "%s/bus/%s/devices/%s/iommu_group", host->sys,
			       host_bus_name(device->bus), device->name);

	if (error)
		return error;
	errno = 0;
	long number = strtol(text, &end, 10);
	return errno || end == text || *end || number < 0 || number > 1000000 ? -ENOENT : (int)number;
}

/* Drivers that the kernel lets stay in a group that belongs to a user: they do no DMA, or none the user would see. */
static bool driver_harmless(const char *driver)
{
	return !*driver || host_driver_is_vfio(driver) || strcmp(driver, "pci-stub") == 0 ||
	       strcmp(driver, "pcieport") == 0;
}

size_t host_group_foreign(const struct host *host, int group, const char *except, char *out, size_t bytes)
{
	struct sysfs_names names sysfs_names_cleanup = {0};
	size_t count = 0;
	size_t used = 0;

	out[0] = '\0';
	sysfs_list(&names, "%s/kernel/iommu_groups/%d/devices", host->sys, group);
	for (int i = 0; i < names.count; i++) {
		const char *name = names.entries[i]->d_name;
		char driver[HOST_NAME_BYTES];

		(void)sysfs_link(driver, sizeof(driver), "%s/kernel/iommu_groups/%d/devices/%s/driver", host->sys,
				 group, name);
		if (strcmp(name, except) == 0 || driver_harmless(driver))
			continue;
		int length = snprintf(out + used, bytes - used, "%s%s (%s)", count ? ", " : "", name, driver);
		used = length > 0 && (size_t)length < bytes - used ? used + (size_t)length : bytes - 1;
		count++;
	}
	return count;
}
