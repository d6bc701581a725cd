/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an address to what sysfs says about the device: its bus, driver, IOMMU group and character device. Reads only;
 * refuses what is not bound to VFIO and what no IOMMU isolates.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/vfio/kernel.h"

#define PATH_BYTES 512

static const char *const bus_names[] = {"platform", "pci"};
static const char *const driver_names[] = {"vfio-platform", "vfio-pci"};

/* The last component of a link's target; -errno. */
static int link_name(const char *directory, const char *link, char *name, size_t bytes)
{
	char path[PATH_BYTES], target[PATH_BYTES];

	if (snprintf(path, sizeof(path), "%s/%s", directory, link) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	ssize_t n = kernel_calls->readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	const char *slash = strrchr(target, '/');
	if (snprintf(name, bytes, "%s", slash ? slash + 1 : target) >= (int)bytes)
		return -ENAMETOOLONG;
	return 0;
}

static int device_locate(const char *address, const char *sys, struct kernel_identity *id, struct kernel_why *why)
{
	int error = -ENOENT;

	for (int pci = 1; pci >= 0; pci--) {
		if (snprintf(id->directory, sizeof(id->directory), "%s/bus/%s/devices/%s", sys, bus_names[pci],
			     address) >= (int)sizeof(id->directory))
			return why_add(why, -ENAMETOOLONG, "%s: the path to sysfs is too long", address);
		id->pci = pci;
		if (kernel_calls->access(id->directory, F_OK) == 0)
			return 0;
		error = -errno;
	}
	return why_call(why, error, "%s: no such device on the PCI or platform bus", address);
}

static int driver_check(const struct kernel_identity *id, struct kernel_why *why)
{
	char driver[64] = "";
	const char *wanted = driver_names[id->pci];
	int rc = link_name(id->directory, "driver", driver, sizeof(driver));

	if (rc == -ENOENT)
		return why_add(why, -ENOTSUP, "%s: has no driver, and not %s: npuctl bind %s%s", id->address, wanted,
			       id->address,
			       id->pci ? ""
				       : " (if that fails: vfio-platform takes only devices whose DMA is coherent, and "
					 "unknown ones only with its parameter reset_required=0)");
	if (rc)
		return why_call(why, rc, "%s: reading its driver", id->address);
	if (strcmp(driver, wanted) != 0)
		return why_add(why, -ENOTSUP, "%s: bound to the driver %s, not to %s: npuctl bind %s", id->address,
			       driver, wanted, id->address);
	return 0;
}

/* Groups that VFIO made up for a device without IOMMU carry this name. */
static bool group_is_fake(const struct kernel_identity *id)
{
	char path[PATH_BYTES], name[32] = "";

	snprintf(path, sizeof(path), "%s/iommu_group/name", id->directory);
	int fd = kernel_calls->open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n = kernel_calls->pread(fd, name, sizeof(name) - 1, 0);

		name[n > 0 ? n : 0] = '\0';
		kernel_calls->close(fd);
	}
	if (strncmp(name, "vfio-noiommu", 12) == 0)
		return true;
	snprintf(path, sizeof(path), "%s/vfio/noiommu-%u", id->dev, id->group);
	return kernel_calls->access(path, F_OK) == 0;
}

static int group_find(struct kernel_identity *id, struct kernel_why *why)
{
	static const char remedy[] = "no IOMMU isolates it, so every client could reach all memory: switch the IOMMU "
				     "on (firmware; kernel parameter intel_iommu=on)";
	char name[32], *end;
	int rc = link_name(id->directory, "iommu_group", name, sizeof(name));

	if (rc == -ENOENT)
		return why_add(why, -ENOTSUP, "%s: %s", id->address, remedy);
	if (rc)
		return why_call(why, rc, "%s: reading its IOMMU group", id->address);
	unsigned long number = strtoul(name, &end, 10);
	if (end == name || *end || number > UINT32_MAX)
		return why_add(why, -EPROTO, "%s: IOMMU group \"%s\" is no number", id->address, name);
	id->group = (uint32_t)number;
	if (group_is_fake(id))
		return why_add(why, -ENOTSUP, "%s: VFIO offers it in no-IOMMU mode, which is not supported: %s",
			       id->address, remedy);
	return 0;
}

int kernel_find(const char *address, const struct vfio_kernel_options *options, struct kernel_identity *out,
		struct kernel_why *why)
{
	const char *sys = options && options->sys ? options->sys : "/sys";

	*out = (struct kernel_identity){.dev = options && options->dev ? options->dev : "/dev"};
	/* It becomes part of a path. */
	if (!*address || *address == '.' || strchr(address, '/') || strlen(address) >= sizeof(out->address))
		return why_add(why, -EINVAL, "\"%.80s\" is no device address such as 0000:01:00.0 or 10000000.npu",
			       address);
	memcpy(out->address, address, strlen(address) + 1);
	int rc = device_locate(address, sys, out, why);
	if (rc == 0)
		rc = driver_check(out, why);
	return rc ? rc : group_find(out, why);
}

int kernel_find_cdev(const struct kernel_identity *id, char *name, size_t bytes)
{
	char path[PATH_BYTES];
	int rc = -ENOENT;

	snprintf(path, sizeof(path), "%s/vfio-dev", id->directory);
	DIR *directory = kernel_calls->opendir(path);
	if (!directory)
		return -errno;
	for (const struct dirent *entry; rc == -ENOENT && (entry = readdir(directory));) {
		if (strncmp(entry->d_name, "noiommu-", 8) == 0)
			rc = -ENOTSUP;
		else if (entry->d_name[0] != '.')
			rc = snprintf(name, bytes, "%s", entry->d_name) < (int)bytes ? 0 : -ENAMETOOLONG;
	}
	closedir(directory);
	return rc;
}

/* Drivers that do no DMA, and VFIO's own, leave a group usable. */
static bool driver_is_harmless(const char *driver)
{
	return strncmp(driver, "vfio", 4) == 0 || strcmp(driver, "pci-stub") == 0 || strcmp(driver, "pcieport") == 0;
}

void kernel_find_foreign(const struct kernel_identity *id, char *names, size_t bytes)
{
	char path[PATH_BYTES], device[2 * PATH_BYTES], driver[64];
	size_t used = 0;

	names[0] = '\0';
	snprintf(path, sizeof(path), "%s/iommu_group/devices", id->directory);
	DIR *directory = kernel_calls->opendir(path);
	if (!directory)
		return;
	for (const struct dirent *entry; (entry = readdir(directory));) {
		snprintf(device, sizeof(device), "%s/%s", path, entry->d_name);
		if (entry->d_name[0] == '.' || link_name(device, "driver", driver, sizeof(driver)) ||
		    driver_is_harmless(driver))
			continue;
		int n = snprintf(names + used, bytes - used, "%s%s (%s)", used ? ", " : "", entry->d_name, driver);
		used += n > 0 ? (size_t)n : 0;
		if (used >= bytes)
			break;
	}
	closedir(directory);
}
