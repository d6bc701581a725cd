/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel for npuctl doctor, preloaded: answers VFIO's ioctls on the regular files of a fake /dev. The device is a
 * file beside the nodes, `device`: registers at 0, configuration space at CONFIG_AT. What goes wrong is chosen by
 * variables: FAKE_VFIO_BUSY       the group's node is open elsewhere FAKE_VFIO_VIABLE=0   the group is not viable
 *   FAKE_VFIO_IOMMU=N    VFIO_SET_IOMMU fails with errno N
 *   FAKE_VFIO_DEVICE=N   VFIO_GROUP_GET_DEVICE_FD fails with errno N
 *   FAKE_VFIO_LOCK=N     more than N bytes cannot be mapped
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REGISTER_BYTES 0x3230u
#define CONFIG_AT 0x8000u
#define CONFIG_BYTES 0x1000u

static unsigned long long mapped;

static long variable(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 10) : otherwise;
}

static int fail(long error)
{
	errno = (int)error;
	return error ? -1 : 0;
}

__attribute__((visibility("default"))) int open(const char *path, int flags, ...)
{
	int (*real)(const char *, int, ...);
	unsigned mode = 0;

	if (flags & O_CREAT) {
		va_list args;

		va_start(args, flags);
		mode = va_arg(args, unsigned);
		va_end(args);
	}
	*(void **)&real = dlsym(RTLD_NEXT, "open");
	const char *node = strstr(path, "/vfio/");
	if (node && node[strlen("/vfio/")] >= '0' && node[strlen("/vfio/")] <= '9' && getenv("FAKE_VFIO_BUSY"))
		return fail(EBUSY);
	return real(path, flags, mode);
}

static int device_open(int group)
{
	char path[PATH_MAX + 16];
	char link[64];
	long error = variable("FAKE_VFIO_DEVICE", 0);

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", group);
	ssize_t length = readlink(link, path, PATH_MAX);
	if (error || length < 0)
		return fail(error ? error : errno);
	path[length] = '\0';
	(void)strcpy(strrchr(path, '/'), "/device");
	return open(path, O_RDWR | O_CLOEXEC);
}

static int region_info(struct vfio_region_info *info)
{
	if (info->index == 0) {
		info->size = REGISTER_BYTES;
		info->offset = 0;
	} else {
		info->size = CONFIG_BYTES;
		info->offset = CONFIG_AT;
	}
	return 0;
}

static int map(const struct vfio_iommu_type1_dma_map *request)
{
	if (request->size > (unsigned long)variable("FAKE_VFIO_LOCK", LONG_MAX))
		return fail(ENOMEM);
	mapped += request->size;
	return 0;
}

static int unmap(struct vfio_iommu_type1_dma_unmap *request)
{
	if (request->size > mapped)
		abort(); /* never more than was mapped */
	mapped -= request->size;
	return 0;
}

__attribute__((visibility("default"))) int ioctl(int fd, unsigned long request, ...)
{
	va_list args;

	va_start(args, request);
	void *argument = va_arg(args, void *);
	va_end(args);
	switch (request) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return 1;
	case VFIO_GROUP_GET_STATUS:
		((struct vfio_group_status *)argument)->flags =
		    variable("FAKE_VFIO_VIABLE", 1) ? VFIO_GROUP_FLAGS_VIABLE : 0;
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
		return 0;
	case VFIO_SET_IOMMU:
		return fail(variable("FAKE_VFIO_IOMMU", 0));
	case VFIO_GROUP_GET_DEVICE_FD:
		return device_open(fd);
	case VFIO_DEVICE_GET_REGION_INFO:
		return region_info(argument);
	case VFIO_IOMMU_GET_INFO:
		((struct vfio_iommu_type1_info *)argument)->flags = 0;
		return 0;
	case VFIO_IOMMU_MAP_DMA:
		return map(argument);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap(argument);
	default:
		return fail(ENOTTY);
	}
}
