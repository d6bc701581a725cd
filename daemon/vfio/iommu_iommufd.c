/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newer interface: any number of page tables for one device, filled whether it is attached or not. The device is
 * always attached to one of them. "To none" is an empty table: one step more of the same kind, instead of a detached
 * state that every other call would have to know.
 */
#include <errno.h>
#include <stdlib.h>

#include "daemon/vfio/iommufd.h"

static int object_destroy(struct vfio_kernel *kernel, uint32_t *id)
{
	struct iommu_destroy destroy = {.size = sizeof(destroy), .id = *id};
	int rc = *id ? kernel_ioctl(kernel->iommufd, IOMMU_DESTROY, &destroy) : 0;

	if (rc < 0)
		return rc;
	*id = 0;
	return 0;
}

/* ------------------------------------------------------------------ address spaces */

static int ioas_alloc(struct vfio_kernel *kernel, uint32_t *id)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	int rc = kernel_ioctl(kernel->iommufd, IOMMU_IOAS_ALLOC, &alloc);

	if (rc < 0)
		return rc;
	*id = alloc.out_ioas_id;
	return 0;
}

/*
 * What is promised to be usable stays so: a second device that would narrow it (plugged into the group later) is the
 * one that fails. Without the promise nothing is wrong here, since maps keep out of the reserved ranges themselves; so
 * a kernel that refuses it is obeyed.
 */
static void ioas_promise(struct vfio_kernel *kernel, uint32_t id)
{
	struct iommu_iova_range usable[VFIO_MAX_RESERVED + 1];
	struct iommu_ioas_allow_iovas allow = {
	    .size = sizeof(allow), .ioas_id = id, .allowed_iovas = (uintptr_t)usable};
	uint64_t next = 0;

	for (uint32_t i = 0; i < kernel->base.reserved_count; i++) {
		const struct iova_range *hole = &kernel->base.reserved[i];

		if (hole->first > next)
			usable[allow.num_iovas++] = (struct iommu_iova_range){next, hole->first - 1};
		next = hole->first + hole->bytes;
	}
	if (next != UINT64_MAX)
		usable[allow.num_iovas++] = (struct iommu_iova_range){next, UINT64_MAX};
	if (kernel->base.reserved_count > 0)
		(void)kernel_ioctl(kernel->iommufd, IOMMU_IOAS_ALLOW_IOVAS, &allow);
}

/* A page table of its own, made before the first map: memory is pinned at map, not at attach, and errors come there. */
static int hwpt_alloc(struct vfio_kernel *kernel, struct vfio_space *space)
{
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc), .dev_id = kernel->device_id, .pt_id = space->ioas};
	int rc = kernel_ioctl(kernel->iommufd, IOMMU_HWPT_ALLOC, &alloc);

	if (rc < 0)
		return rc;
	space->hwpt = alloc.out_hwpt_id;
	return 0;
}

int iommufd_space_fill(struct vfio_kernel *kernel, struct vfio_space *space)
{
	int rc = ioas_alloc(kernel, &space->ioas);

	if (rc)
		return rc;
	ioas_promise(kernel, space->ioas);
	rc = hwpt_alloc(kernel, space);
	if (rc)
		(void)object_destroy(kernel, &space->ioas);
	return rc;
}

static int space_new(struct vfio_device *device, struct vfio_space **out)
{
	struct vfio_kernel *kernel = vfio_kernel(device);

	if (kernel_gone(kernel))
		return -ENODEV;
	struct vfio_space *space = calloc(1, sizeof(*space));
	if (!space)
		return -ENOMEM;
	int rc = iommufd_space_fill(kernel, space);
	if (rc) {
		free(space);
		return rc == -ENODEV ? kernel_lose(kernel) : rc;
	}
	pthread_mutex_lock(&kernel->spaces_lock);
	list_append(&kernel->spaces, &space->link);
	pthread_mutex_unlock(&kernel->spaces_lock);
	*out = space;
	return 0;
}

static void space_forget(struct vfio_kernel *kernel, struct vfio_space *space)
{
	/* The worker frees one while the loop makes another. */
	pthread_mutex_lock(&kernel->spaces_lock);
	list_remove(&space->link);
	pthread_mutex_unlock(&kernel->spaces_lock);
	map_table_free(&space->maps);
	free(space);
}

/* The page table holds the address space, which holds the maps. */
static int space_free(struct vfio_device *device, struct vfio_space *space)
{
	struct vfio_kernel *kernel = vfio_kernel(device);

	if (kernel_gone(kernel))
		return -ENODEV;
	if (space == kernel->attached)
		return -EBUSY;
	int rc = object_destroy(kernel, &space->hwpt);
	if (rc == 0)
		rc = object_destroy(kernel, &space->ioas);
	if (rc)
		return rc == -ENODEV ? kernel_lose(kernel) : rc;
	kernel_forget_maps(kernel, &space->maps);
	space_forget(kernel, space);
	return 0;
}

/* On an attached device this replaces, and on failure leaves what was there. */
int iommufd_attach(struct vfio_device *device, struct vfio_space *space)
{
	struct vfio_kernel *kernel = vfio_kernel(device);
	struct vfio_space *target = space ? space : &kernel->root;
	struct vfio_device_attach_iommufd_pt attach = {.argsz = UAPI_ATTACH_ARGSZ, .pt_id = target->hwpt};

	if (kernel_gone(kernel))
		return -ENODEV;
	int rc = kernel_device_ioctl(kernel, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
	if (rc < 0)
		return rc;
	kernel->attached = target;
	return 0;
}

/* ------------------------------------------------------------------ maps */

static uint32_t map_flags(unsigned prot)
{
	return IOMMU_IOAS_MAP_FIXED_IOVA | (prot & VFIO_READ ? IOMMU_IOAS_MAP_READABLE : 0) |
	       (prot & VFIO_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0);
}

static int map_by_file(struct vfio_kernel *kernel, const struct vfio_space *space, const struct iommu_piece *piece)
{
	struct iommu_ioas_map_file map = {.size = sizeof(map),
					  .flags = map_flags(piece->prot),
					  .ioas_id = space->ioas,
					  .fd = piece->fd,
					  .start = piece->offset,
					  .length = piece->bytes,
					  .iova = piece->iova};
	int rc = kernel_ioctl(kernel->iommufd, IOMMU_IOAS_MAP_FILE, &map);

	return rc < 0 ? rc : 0;
}

static int map_by_address(struct vfio_kernel *kernel, const struct vfio_space *space, const struct iommu_piece *piece)
{
	struct iommu_ioas_map map = {.size = sizeof(map),
				     .flags = map_flags(piece->prot),
				     .ioas_id = space->ioas,
				     .user_va = (uintptr_t)piece->address,
				     .length = piece->bytes,
				     .iova = piece->iova};
	int rc = kernel_ioctl(kernel->iommufd, IOMMU_IOAS_MAP, &map);

	return rc < 0 ? rc : 0;
}

static int iommufd_map(struct vfio_kernel *kernel, struct vfio_space *space, const struct iommu_piece *piece)
{
	return piece->address ? map_by_address(kernel, space, piece) : map_by_file(kernel, space, piece);
}

static int iommufd_unmap(struct vfio_kernel *kernel, struct vfio_space *space, uint64_t iova, uint64_t bytes)
{
	struct iommu_ioas_unmap unmap = {.size = sizeof(unmap), .ioas_id = space->ioas, .iova = iova, .length = bytes};
	int rc = kernel_ioctl(kernel->iommufd, IOMMU_IOAS_UNMAP, &unmap);

	if (rc < 0)
		return rc;
	return unmap.length == bytes ? 0 : -EIO;
}

/* The kernel's objects end with the last descriptor, which the caller closes. */
static void iommufd_close(struct vfio_kernel *kernel)
{
	list_each (node, next, &kernel->spaces)
		space_forget(kernel, list_entry(node, struct vfio_space, link));
	map_table_free(&kernel->root.maps);
}

static const struct vfio_ops iommufd_ops = {
    .name = "iommufd",
    .reg_read = kernel_reg_read,
    .reg_write = kernel_reg_write,
    .space_new = space_new,
    .space_free = space_free,
    .attach = iommufd_attach,
    .map = kernel_map,
    .unmap = kernel_unmap,
    .irq_unmask = kernel_irq_unmask,
    .reset = kernel_reset,
    .life = kernel_life,
    .close = kernel_close,
};

const struct iommu_ops iommu_iommufd = {
    .device = &iommufd_ops,
    .open = iommufd_open,
    .map = iommufd_map,
    .unmap = iommufd_unmap,
    .close = iommufd_close,
};
