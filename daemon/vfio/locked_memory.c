/* SPDX-License-Identifier: Apache-2.0 */
/* Reads limits from the kernel and explains a map that failed. Changes nothing. */
#include "daemon/vfio/locked_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/vfio/kernel_calls.h"
#include "daemon/vfio/vfio.h"

#define CAP_IPC_LOCK_BIT 14u
#define STATUS_BYTES 8192u

/* A number behind "\nName:" in /proc/self/status; 0 if it is not there. */
static int status_number(const char *name, int base, uint64_t *out)
{
	char text[STATUS_BYTES], key[32];
	int fd = kernel_calls->open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	*out = 0;
	if (fd < 0)
		return -errno;
	ssize_t n = kernel_calls->read(fd, text, sizeof(text) - 1);
	int error = n < 0 ? -errno : 0;
	kernel_calls->close(fd);
	if (error)
		return error;
	text[n] = '\0';
	snprintf(key, sizeof(key), "\n%s:", name);
	const char *at = strstr(text, key);
	if (at)
		*out = strtoull(at + strlen(key), NULL, base);
	return 0;
}

int vfio_locked_memory(uint64_t *has, bool *unlimited)
{
	struct rlimit limit;
	uint64_t capabilities;
	int rc = status_number("CapEff", 16, &capabilities);

	if (rc)
		return rc;
	if (kernel_calls->getrlimit(RLIMIT_MEMLOCK, &limit))
		return -errno;
	*unlimited = capabilities >> CAP_IPC_LOCK_BIT & 1 || limit.rlim_cur == RLIM_INFINITY;
	*has = *unlimited ? UINT64_MAX : limit.rlim_cur;
	return 0;
}

uint64_t vfio_locked_now(bool pinned)
{
	uint64_t kibibytes;

	return status_number(pinned ? "VmPin" : "VmLck", 10, &kibibytes) ? 0 : kibibytes << 10;
}

static void advise_memory(bool iommufd, uint64_t bytes, char *text, size_t text_bytes)
{
	uint64_t has, need = vfio_locked_now(iommufd) + bytes;
	bool unlimited = true;

	if (vfio_locked_memory(&has, &unlimited) == 0 && !unlimited)
		snprintf(text, text_bytes,
			 "locked memory: needs %llu bytes, has %llu%s; set LimitMEMLOCK=%llu or more in npud.service",
			 (unsigned long long)need, (unsigned long long)has,
			 iommufd ? " for all processes of this user" : "", (unsigned long long)need);
	else
		snprintf(text, text_bytes, "the host is out of memory that can be pinned: %llu bytes were asked for",
			 (unsigned long long)bytes);
}

void vfio_map_advice(const struct vfio_device *device, int error, uint64_t bytes, char *text, size_t text_bytes)
{
	bool iommufd = strcmp(device->ops->name, "iommufd") == 0, type1 = strcmp(device->ops->name, "type1") == 0;

	text[0] = '\0';
	if (!iommufd && !type1)
		return;
	if (error == -ENOMEM)
		advise_memory(iommufd, bytes, text, text_bytes);
	else if (error == -ENOSPC)
		snprintf(text, text_bytes,
			 "the IOMMU interface keeps at most %u entries of 16 MiB for this device, and all are in use: "
			 "map fewer and larger buffers, or raise vfio_iommu_type1.dma_entry_limit",
			 device->max_mappings);
	else if (error == -EINVAL)
		snprintf(text, text_bytes,
			 "address, offset and size have to be multiples of %llu bytes, outside the %u reserved ranges "
			 "and inside the file",
			 (unsigned long long)device->page_bytes, device->reserved_count);
	else if (error == -EADDRINUSE)
		snprintf(text, text_bytes, "a map lies in a range that the IOMMU keeps for interrupts");
	else if (error == -EPERM || error == -EACCES)
		snprintf(text, text_bytes, "the file cannot be written, so the device may only read it");
}
