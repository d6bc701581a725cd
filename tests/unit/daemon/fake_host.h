/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host for the fake kernel: a folder with the parts of sysfs and /dev that a VFIO device has. Real files and links,
 * so that the code under test reads them as it reads real ones; a test removes or adds what it is about.
 */
#ifndef NPUD_TESTS_FAKE_HOST_H
#define NPUD_TESTS_FAKE_HOST_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/suite.h"

#define HOST_GROUP "7"
#define HOST_PCI "0000:01:00.0"
#define HOST_PLATFORM "10000000.npu"

struct host {
	char root[32];
	char sys[48];
	char dev[48];
	const char *address;
	const char *bus;
};

/* root/format, in a static buffer */
__attribute__((format(printf, 2, 3))) static inline const char *host_path(const struct host *host, const char *format,
									  ...)
{
	static char path[512];
	int n = snprintf(path, sizeof(path), "%s/", host->root);
	va_list args;

	va_start(args, format);
	vsnprintf(path + n, sizeof(path) - (size_t)n, format, args);
	va_end(args);
	return path;
}

static inline void host_parents(const char *path)
{
	char partial[512];

	snprintf(partial, sizeof(partial), "%s", path);
	for (char *at = strchr(partial + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		ck_assert(mkdir(partial, 0700) == 0 || errno == EEXIST);
		*at = '/';
	}
}

static inline void host_file(const char *path, const char *text)
{
	host_parents(path);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static inline void host_link(const char *path, const char *target)
{
	host_parents(path);
	unlink(path);
	ck_assert_int_eq(symlink(target, path), 0);
}

/* A device in the group, bound to `driver` (NULL: to none). */
static inline void host_add_device(const struct host *host, const char *bus, const char *address, const char *driver)
{
	char target[256];

	host_file(host_path(host, "sys/devices/%s/uevent", address), "");
	snprintf(target, sizeof(target), "../../../devices/%s", address);
	host_link(host_path(host, "sys/bus/%s/devices/%s", bus, address), target);
	host_link(host_path(host, "sys/devices/%s/iommu_group", address), "../../kernel/iommu_groups/" HOST_GROUP);
	snprintf(target, sizeof(target), "../../../../devices/%s", address);
	host_link(host_path(host, "sys/kernel/iommu_groups/" HOST_GROUP "/devices/%s", address), target);
	if (driver) {
		snprintf(target, sizeof(target), "../../bus/%s/drivers/%s", bus, driver);
		host_link(host_path(host, "sys/devices/%s/driver", address), target);
	}
}

static inline void host_open(struct host *host, bool pci)
{
	*host = (struct host){.root = "/tmp/npud-host.XXXXXX",
			      .address = pci ? HOST_PCI : HOST_PLATFORM,
			      .bus = pci ? "pci" : "platform"};
	ck_assert_ptr_nonnull(mkdtemp(host->root));
	snprintf(host->sys, sizeof(host->sys), "%s/sys", host->root);
	snprintf(host->dev, sizeof(host->dev), "%s/dev", host->root);
	host_file(host_path(host, "sys/kernel/iommu_groups/" HOST_GROUP "/type"), "DMA\n");
	host_add_device(host, host->bus, host->address, pci ? "vfio-pci" : "vfio-platform");
	host_file(host_path(host, "sys/devices/%s/vfio-dev/vfio3/dev", host->address), "511:3\n");
	host_file(host_path(host, "dev/iommu"), "");
	host_file(host_path(host, "dev/vfio/vfio"), "");
	host_file(host_path(host, "dev/vfio/" HOST_GROUP), "");
	host_file(host_path(host, "dev/vfio/devices/vfio3"), "");
	host_file(host_path(host, "registers"), "");
}

static inline int host_remove(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return remove(path);
}

static inline void host_close(const struct host *host)
{
	ck_assert_int_eq(nftw(host->root, host_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
