/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From two device nodes to a device behind iommufd that reaches nothing: lock, bind, empty table, and what the IOMMU
 * can do. Each refusal says which call it was and what an operator can change.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>

#include "daemon/util/cleanup.h"
#include "daemon/vfio/iommufd.h"

#define MAX_RANGES 4096u

static int cdev_open(struct vfio_kernel *kernel, struct kernel_why *why)
{
	char name[64], path[320];
	int rc = kernel_find_cdev(&kernel->id, name, sizeof(name));

	if (rc == -ENOTSUP)
		return why_add(why, rc, "%s is offered in no-IOMMU mode, which isolates nothing", kernel->id.address);
	if (rc)
		return why_call(why, rc, "%s has no character device (kernel option VFIO_DEVICE_CDEV)",
				kernel->id.address);
	snprintf(path, sizeof(path), "%s/vfio/devices/%s", kernel->id.dev, name);
	kernel->device = kernel_calls->open(path, O_RDWR | O_CLOEXEC);
	if (kernel->device < 0)
		return why_call(why, -errno, "open %s", path);
	/* The node may be open twice, and a second bind is refused with EINVAL, which says nothing. */
	if (kernel_calls->flock(kernel->device, LOCK_EX | LOCK_NB)) {
		rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
		return why_call(why, rc, "%s%s", path, rc == -EBUSY ? ": another process has the device" : ": lock");
	}
	return 0;
}

static int bind_forbidden(struct vfio_kernel *kernel, struct kernel_why *why)
{
	char names[160];

	kernel_find_foreign(&kernel->id, names, sizeof(names));
	if (names[0])
		return why_call(why, -EPERM,
				"binding to iommufd: the IOMMU cannot tell %s from devices that host drivers use, %s",
				kernel->id.address, names);
	return why_call(why, -EPERM,
			"binding to iommufd: the IOMMU does not remap interrupts, so a device could raise any; the "
			"parameter iommufd.allow_unsafe_interrupts=1 accepts that risk");
}

static int device_bind(struct vfio_kernel *kernel, struct kernel_why *why)
{
	struct vfio_device_bind_iommufd bind = {.argsz = UAPI_BIND_ARGSZ, .iommufd = kernel->iommufd};
	int rc = kernel_device_ioctl(kernel, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	kernel->device_id = bind.out_devid;
	if (rc == -EPERM)
		return bind_forbidden(kernel, why);
	if (rc == -EINVAL)
		return why_call(why, rc,
				"binding to iommufd: the IOMMU is not cache coherent for this device (device tree: "
				"dma-coherent), or the device is open elsewhere");
	if (rc == -EBUSY)
		return why_call(why, rc, "binding to iommufd: another process has a device of its group");
	return rc < 0 ? why_call(why, rc, "binding to iommufd") : 0;
}

/* A call that is unknown is ENOTTY, whatever its argument; one that is known finds something wrong with zeros. */
static bool knows_map_file(struct vfio_kernel *kernel)
{
	struct iommu_ioas_map_file nothing = {.size = sizeof(nothing)};

	return kernel_ioctl(kernel->iommufd, IOMMU_IOAS_MAP_FILE, &nothing) != -ENOTTY;
}

_Static_assert(sizeof(struct iommu_usable) == sizeof(struct iommu_iova_range) &&
		   offsetof(struct iommu_usable, last) == offsetof(struct iommu_iova_range, last),
	       "the kernel fills our array");

static int ranges_read(struct vfio_kernel *kernel, struct iommu_ioas_iova_ranges *ranges, uint32_t room,
		       struct iommu_usable *array)
{
	*ranges = (struct iommu_ioas_iova_ranges){.size = sizeof(*ranges),
						  .ioas_id = kernel->root.ioas,
						  .num_iovas = room,
						  .allowed_iovas = (uintptr_t)array};
	int rc = kernel_ioctl(kernel->iommufd, IOMMU_IOAS_IOVA_RANGES, ranges);
	/* Too little room: the number that there are is filled in. */
	return rc == -EMSGSIZE && room == 0 ? 0 : rc;
}

/* Of the empty table, which only the device itself narrows. */
static int ranges_apply(struct vfio_kernel *kernel)
{
	struct iommu_ioas_iova_ranges ranges;
	int rc = ranges_read(kernel, &ranges, 0, NULL);

	if (rc < 0)
		return rc;
	if (ranges.num_iovas == 0 || ranges.num_iovas > MAX_RANGES)
		return -EPROTO;
	uint32_t room = ranges.num_iovas;
	_cleanup_free_ struct iommu_usable *usable = calloc(room, sizeof(*usable));
	if (!usable)
		return -ENOMEM;
	rc = ranges_read(kernel, &ranges, room, usable);
	if (rc < 0)
		return rc;
	iommu_reserve_rest(&kernel->base, usable, ranges.num_iovas < room ? ranges.num_iovas : room);
	kernel->base.page_bytes = ranges.out_iova_alignment;
	return 0;
}

int iommufd_open(struct vfio_kernel *kernel, struct kernel_why *why)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/iommu", kernel->id.dev);
	kernel->iommufd = kernel_calls->open(path, O_RDWR | O_CLOEXEC);
	if (kernel->iommufd < 0)
		return why_call(why, -errno, "open %s", path);
	int rc = cdev_open(kernel, why);
	if (rc == 0)
		rc = device_bind(kernel, why);
	if (rc)
		return rc;
	kernel->map_file = knows_map_file(kernel);
	kernel->base.max_mappings = UINT32_MAX;
	rc = iommufd_space_fill(kernel, &kernel->root);
	if (rc)
		return why_call(why, rc, "making an empty page table");
	rc = iommufd_attach(&kernel->base, NULL);
	if (rc)
		return why_call(why, rc, "attaching the empty page table");
	rc = ranges_apply(kernel);
	return rc ? why_call(why, rc, "reading the usable bus addresses") : 0;
}
