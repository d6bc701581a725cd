/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The older interface: container, group, one page table. One container for each device, so that what one device
 * reaches says nothing about another.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/cleanup.h"
#include "daemon/vfio/kernel.h"

#define DEFAULT_ENTRIES 65535u
#define MAX_INFO_BYTES 65536u
#define OPEN_ATTEMPTS 20
#define OPEN_PAUSE_NS 10000000u

static void *by_value(uintptr_t value)
{
	return (void *)value;
}

static int container_open(struct vfio_kernel *kernel, struct kernel_why *why)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/vfio/vfio", kernel->id.dev);
	kernel->container = kernel_calls->open(path, O_RDWR | O_CLOEXEC);
	if (kernel->container < 0)
		return why_call(why, -errno, "open %s", path);
	int rc = kernel_ioctl(kernel->container, VFIO_GET_API_VERSION, NULL);
	if (rc != VFIO_API_VERSION)
		return rc < 0 ? why_call(why, rc, "%s: API version", path)
			      : why_add(why, -ENOTSUP, "%s: API version %d, not %d", path, rc, VFIO_API_VERSION);
	rc = kernel_ioctl(kernel->container, VFIO_CHECK_EXTENSION, by_value(VFIO_TYPE1v2_IOMMU));
	if (rc < 0)
		return why_call(why, rc, "%s: asking for the type 1 IOMMU", path);
	if (rc == 0)
		return why_add(why, -ENOTSUP, "%s: no type 1 IOMMU version 2: load the module vfio_iommu_type1", path);
	return 0;
}

static int group_refused(struct vfio_kernel *kernel, struct kernel_why *why)
{
	char names[160];

	kernel_find_foreign(&kernel->id, names, sizeof(names));
	if (!names[0])
		return why_add(why, -EPERM, "group %u is not viable: a device of it belongs to a host driver",
			       kernel->id.group);
	return why_add(why, -EPERM,
		       "group %u is not viable: the IOMMU cannot tell %s from a device that a host driver uses, %s: "
		       "unbind that driver or bind the device to VFIO as well",
		       kernel->id.group, kernel->id.address, names);
}

static int group_open(struct vfio_kernel *kernel, struct kernel_why *why)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	char path[256];

	snprintf(path, sizeof(path), "%s/vfio/%u", kernel->id.dev, kernel->id.group);
	kernel->group = kernel_calls->open(path, O_RDWR | O_CLOEXEC);
	if (kernel->group < 0)
		return why_call(why, -errno, "open %s%s", path,
				errno == EBUSY ? ": another process has a device of this group" : "");
	int rc = kernel_ioctl(kernel->group, VFIO_GROUP_GET_STATUS, &status);
	if (rc < 0)
		return why_call(why, rc, "%s: status", path);
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return group_refused(kernel, why);
	rc = kernel_ioctl(kernel->group, VFIO_GROUP_SET_CONTAINER, &kernel->container);
	if (rc == -EPERM)
		return group_refused(kernel, why);
	return rc < 0 ? why_call(why, rc, "%s: joining a container", path) : 0;
}

static int iommu_set(struct vfio_kernel *kernel, struct kernel_why *why)
{
	int rc = kernel_ioctl(kernel->container, VFIO_SET_IOMMU, by_value(VFIO_TYPE1v2_IOMMU));

	if (rc == -EPERM)
		return why_call(why, rc,
				"setting the IOMMU: it does not remap interrupts, so a device could raise any; the "
				"parameter vfio_iommu_type1.allow_unsafe_interrupts=1 accepts that risk");
	if (rc < 0)
		return why_call(why, rc, "setting the IOMMU");
	/* Before there is a group, the answer was about the driver; now it is about this IOMMU. */
	rc = kernel_ioctl(kernel->container, VFIO_CHECK_EXTENSION, by_value(VFIO_TYPE1v2_IOMMU));
	if (rc <= 0)
		return why_add(why, rc < 0 ? rc : -ENOTSUP, "the IOMMU of this device is not of type 1 version 2");
	return 0;
}

/* ------------------------------------------------------------------ what the IOMMU can do */

/* Offset of a capability of at least `least` bytes, 0 if there is none. */
static uint32_t capability_find(const uint8_t *info, uint32_t bytes, uint32_t at, uint16_t id, uint32_t least)
{
	struct vfio_info_cap_header header;

	for (uint32_t hops = 0; at && hops < MAX_INFO_BYTES / sizeof(header); hops++) {
		if (at % 4 || at > bytes || bytes - at < sizeof(header))
			return 0;
		memcpy(&header, info + at, sizeof(header));
		if (header.id == id)
			return bytes - at >= least ? at : 0;
		at = header.next;
	}
	return 0;
}

static int ranges_apply(struct vfio_kernel *kernel, const uint8_t *info, uint32_t bytes, uint32_t first)
{
	struct vfio_iommu_type1_info_cap_iova_range cap;
	uint32_t at = capability_find(info, bytes, first, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, (uint32_t)sizeof(cap));
	struct vfio_iova_range range;

	if (at == 0)
		return 0; /* before 5.4: the kernel refuses at map what it does not like */
	memcpy(&cap, info + at, sizeof(cap));
	if (cap.nr_iovas > (bytes - at - sizeof(cap)) / sizeof(range))
		return -EPROTO;
	_cleanup_free_ struct iommu_usable *usable = calloc(cap.nr_iovas + 1u, sizeof(*usable));
	if (!usable)
		return -ENOMEM;
	for (uint32_t i = 0; i < cap.nr_iovas; i++) {
		memcpy(&range, info + at + sizeof(cap) + i * sizeof(range), sizeof(range));
		usable[i] = (struct iommu_usable){range.start, range.end};
	}
	iommu_reserve_rest(&kernel->base, usable, cap.nr_iovas);
	return 0;
}

static int info_apply(struct vfio_kernel *kernel, const uint8_t *data, uint32_t bytes)
{
	struct vfio_iommu_type1_info info;
	struct vfio_iommu_type1_info_dma_avail avail = {.avail = DEFAULT_ENTRIES};

	memcpy(&info, data, sizeof(info));
	if (info.flags & VFIO_IOMMU_INFO_PGSIZES && info.iova_pgsizes)
		kernel->base.page_bytes = info.iova_pgsizes & -info.iova_pgsizes;
	if (!(info.flags & VFIO_IOMMU_INFO_CAPS))
		info.cap_offset = 0;
	uint32_t at =
	    capability_find(data, bytes, info.cap_offset, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, (uint32_t)sizeof(avail));
	if (at)
		memcpy(&avail, data + at, sizeof(avail));
	kernel->base.max_mappings = avail.avail;
	return ranges_apply(kernel, data, bytes, info.cap_offset);
}

/* Asked once for the size and once for everything. */
static int info_read(struct vfio_kernel *kernel, struct kernel_why *why)
{
	struct vfio_iommu_type1_info info = {.argsz = sizeof(info)};
	int rc = kernel_ioctl(kernel->container, VFIO_IOMMU_GET_INFO, &info);

	if (rc < 0)
		return why_call(why, rc, "IOMMU information");
	uint32_t bytes = info.argsz;
	if (bytes < sizeof(info) || bytes > MAX_INFO_BYTES)
		return why_add(why, -EPROTO, "IOMMU information of %u bytes", bytes);
	_cleanup_free_ uint8_t *data = calloc(1, bytes);
	if (!data)
		return why_call(why, -ENOMEM, "IOMMU information");
	memcpy(data, &bytes, sizeof(bytes)); /* argsz */
	rc = kernel_ioctl(kernel->container, VFIO_IOMMU_GET_INFO, data);
	if (rc >= 0)
		rc = info_apply(kernel, data, bytes);
	return rc < 0 ? why_call(why, rc, "IOMMU information") : 0;
}

/* ------------------------------------------------------------------ the back end */

/* Opening resets a PCI device, which has to wait for whoever else holds its lock. */
static int device_open(struct vfio_kernel *kernel, struct kernel_why *why)
{
	int rc = kernel_ioctl(kernel->group, VFIO_GROUP_GET_DEVICE_FD, kernel->id.address);

	for (int i = 1; i < OPEN_ATTEMPTS && rc == -EAGAIN; i++) {
		kernel_calls->pause_ns(OPEN_PAUSE_NS);
		rc = kernel_ioctl(kernel->group, VFIO_GROUP_GET_DEVICE_FD, kernel->id.address);
	}
	if (rc < 0)
		return why_call(why, rc, "opening %s in group %u", kernel->id.address, kernel->id.group);
	kernel->device = rc;
	return 0;
}

static int type1_open(struct vfio_kernel *kernel, struct kernel_why *why)
{
	int rc = container_open(kernel, why);

	if (rc == 0)
		rc = group_open(kernel, why);
	if (rc == 0)
		rc = iommu_set(kernel, why);
	if (rc == 0)
		rc = info_read(kernel, why);
	return rc ? rc : device_open(kernel, why);
}

static int type1_map(struct vfio_kernel *kernel, struct vfio_space *space, const struct iommu_piece *piece)
{
	struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
					       .flags = (piece->prot & VFIO_READ ? VFIO_DMA_MAP_FLAG_READ : 0) |
							(piece->prot & VFIO_WRITE ? VFIO_DMA_MAP_FLAG_WRITE : 0),
					       .vaddr = (uintptr_t)piece->address,
					       .iova = piece->iova,
					       .size = piece->bytes};
	int rc = kernel_ioctl(kernel->container, VFIO_IOMMU_MAP_DMA, &map);

	(void)space;
	return rc < 0 ? rc : 0;
}

static int type1_unmap(struct vfio_kernel *kernel, struct vfio_space *space, uint64_t iova, uint64_t bytes)
{
	struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof(unmap), .iova = iova, .size = bytes};
	int rc = kernel_ioctl(kernel->container, VFIO_IOMMU_UNMAP_DMA, &unmap);

	(void)space;
	if (rc < 0)
		return rc;
	return unmap.size == bytes ? 0 : -EIO;
}

/* Pages are unpinned with the container, which the caller closes after the device. */
static void type1_close(struct vfio_kernel *kernel)
{
	map_table_free(&kernel->root.maps);
}

static const struct vfio_ops type1_ops = {
    .name = "type1",
    .reg_read = kernel_reg_read,
    .reg_write = kernel_reg_write,
    .map = kernel_map,
    .unmap = kernel_unmap,
    .irq_unmask = kernel_irq_unmask,
    .reset = kernel_reset,
    .life = kernel_life,
    .close = kernel_close,
};

const struct iommu_ops iommu_type1 = {
    .device = &type1_ops,
    .open = type1_open,
    .map = type1_map,
    .unmap = type1_unmap,
    .close = type1_close,
};
