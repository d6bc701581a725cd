/* SPDX-License-Identifier: Apache-2.0 */
/* The least that a program has to ask of the kernel, without a check, a record or a way back. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "tests/bench/guest/bench_guest.h"

static void ask(int fd, unsigned long request, void *argument, const char *what)
{
	if (ioctl(fd, request, argument) < 0)
		bench_fail("%s: %s", what, strerror(errno));
}

/* type1 wants an address. It is read during the call only. */
static void type1_map_unmap(const struct vfio_kernel *kernel, int fd, uint64_t iova, uint64_t bytes)
{
	struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
					       .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
					       .iova = iova,
					       .size = bytes};
	struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof(unmap), .iova = iova, .size = bytes};
	void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (data == MAP_FAILED)
		bench_fail("mmap: %s", strerror(errno));
	map.vaddr = (uintptr_t)data;
	ask(kernel->container, VFIO_IOMMU_MAP_DMA, &map, "VFIO_IOMMU_MAP_DMA");
	(void)munmap(data, bytes);
	ask(kernel->container, VFIO_IOMMU_UNMAP_DMA, &unmap, "VFIO_IOMMU_UNMAP_DMA");
}

static void iommufd_map_unmap(const struct vfio_kernel *kernel, uint32_t ioas, int fd, uint64_t iova, uint64_t bytes)
{
	struct iommu_ioas_map_file map = {.size = sizeof(map),
					  .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
						   IOMMU_IOAS_MAP_WRITEABLE,
					  .ioas_id = ioas,
					  .fd = fd,
					  .length = bytes,
					  .iova = iova};
	struct iommu_ioas_unmap unmap = {.size = sizeof(unmap), .ioas_id = ioas, .iova = iova, .length = bytes};

	ask(kernel->iommufd, IOMMU_IOAS_MAP_FILE, &map, "IOMMU_IOAS_MAP_FILE");
	ask(kernel->iommufd, IOMMU_IOAS_UNMAP, &unmap, "IOMMU_IOAS_UNMAP");
}

void raw_map_unmap(const struct vfio_kernel *kernel, const struct vfio_space *space, int fd, uint64_t iova,
		   uint64_t bytes)
{
	if (space)
		iommufd_map_unmap(kernel, space->ioas, fd, iova, bytes);
	else
		type1_map_unmap(kernel, fd, iova, bytes);
}

void raw_attach(const struct vfio_kernel *kernel, const struct vfio_space *space)
{
	struct vfio_device_attach_iommufd_pt attach = {.argsz = UAPI_ATTACH_ARGSZ, .pt_id = space->hwpt};

	ask(kernel->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
}
