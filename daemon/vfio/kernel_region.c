/* SPDX-License-Identifier: Apache-2.0 */
/* What the device consists of: its information, region 0 mapped where that is allowed, the configuration region. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/vfio/kernel.h"
#include "daemon/vfio/mmio.h"

#define MAX_REGIONS 100u
#define MAX_IRQS 50u
#define CAPS_BYTES 1024u

/* Region information with room for its capabilities. */
struct region {
	_Alignas(8) uint8_t data[CAPS_BYTES];
};

static int region_info(struct vfio_kernel *kernel, uint32_t index, struct region *region, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){.argsz = sizeof(*region), .index = index};
	memset(region, 0, sizeof(*region));
	memcpy(region->data, info, sizeof(*info));
	int rc = kernel_device_ioctl(kernel, VFIO_DEVICE_GET_REGION_INFO, region->data);
	memcpy(info, region->data, sizeof(*info));
	return rc < 0 ? rc : 0;
}

/* A sparse list says what may be mapped; one area for all of it is as good as none. */
static bool sparse_allows(const struct region *region, uint32_t at, uint64_t size)
{
	struct vfio_region_info_cap_sparse_mmap sparse;
	struct vfio_region_sparse_mmap_area area;
	size_t first = at + sizeof(sparse);

	if (first + sizeof(area) > sizeof(region->data))
		return false;
	memcpy(&sparse, region->data + at, sizeof(sparse));
	memcpy(&area, region->data + first, sizeof(area));
	return sparse.nr_areas == 1 && area.offset == 0 && area.size >= size;
}

static bool region_mappable(const struct region *region, const struct vfio_region_info *info)
{
	struct vfio_info_cap_header header;
	uint32_t at = info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;

	if (!(info->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return false;
	/* Capabilities that do not fit: nothing is known, so nothing is mapped. */
	if (info->flags & VFIO_REGION_INFO_FLAG_CAPS && at == 0)
		return false;
	for (unsigned hops = 0; at && hops < CAPS_BYTES / sizeof(header); hops++) {
		if (at % 4 || at + sizeof(header) > sizeof(region->data))
			return false;
		memcpy(&header, region->data + at, sizeof(header));
		if (header.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP)
			return sparse_allows(region, at, info->size);
		at = header.next;
	}
	return true;
}

static int registers_open(struct vfio_kernel *kernel, struct kernel_why *why)
{
	const uint32_t need = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	struct vfio_region_info info;
	struct region region;
	int rc = region_info(kernel, VFIO_PCI_BAR0_REGION_INDEX, &region, &info);

	if (rc)
		return why_call(why, rc, "region 0");
	if ((info.flags & need) != need || info.size < 4 || info.size > UINT32_MAX)
		return why_add(why, -ENOTSUP, "region 0: no readable and writable registers (flags %x, %llu bytes)",
			       info.flags, (unsigned long long)info.size);
	kernel->base.mmio_bytes = info.size;
	kernel->registers_offset = info.offset;
	if (!region_mappable(&region, &info))
		return 0;
	void *at =
	    kernel_calls->mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, kernel->device, (off_t)info.offset);
	if (at == MAP_FAILED)
		return why_call(why, -errno, "region 0: mmap of %llu bytes", (unsigned long long)info.size);
	kernel->registers = at;
	mmio_guard_install();
	return 0;
}

static int config_open(struct vfio_kernel *kernel, struct kernel_why *why)
{
	struct vfio_region_info info;
	struct region region;
	int rc = region_info(kernel, VFIO_PCI_CONFIG_REGION_INDEX, &region, &info);

	if (rc)
		return why_call(why, rc, "configuration space");
	kernel->config_offset = info.offset;
	if (!kernel_pci_alive(kernel))
		return why_add(why, kernel_lose(kernel),
			       "the device does not answer: its configuration space reads as all ones");
	rc = kernel_pci_enable(kernel);
	return rc ? why_call(why, rc, "enabling memory access and bus mastering in configuration space") : 0;
}

int kernel_regions_open(struct vfio_kernel *kernel, struct kernel_why *why)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	uint32_t bus = kernel->id.pci ? VFIO_DEVICE_FLAGS_PCI : VFIO_DEVICE_FLAGS_PLATFORM;
	uint32_t least = kernel->id.pci ? VFIO_PCI_CONFIG_REGION_INDEX + 1 : 1;
	int rc = kernel_device_ioctl(kernel, VFIO_DEVICE_GET_INFO, &info);

	if (rc < 0)
		return why_call(why, rc, "device information");
	if (!(info.flags & bus))
		return why_add(why, -ENOTSUP, "not a %s device (flags %x)", kernel->id.pci ? "PCI" : "platform",
			       info.flags);
	if (info.num_regions < least || info.num_regions > MAX_REGIONS || info.num_irqs > MAX_IRQS)
		return why_add(why, -ENOTSUP, "%u regions and %u interrupts", info.num_regions, info.num_irqs);
	kernel->has_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	kernel->regions = info.num_regions;
	kernel->irqs = info.num_irqs;
	rc = registers_open(kernel, why);
	return rc || !kernel->id.pci ? rc : config_open(kernel, why);
}

void kernel_regions_close(struct vfio_kernel *kernel)
{
	if (kernel->registers)
		kernel_calls->munmap((void *)(uintptr_t)kernel->registers, kernel->base.mmio_bytes);
	kernel->registers = NULL;
}
