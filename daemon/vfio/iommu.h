/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam between a kernel device and what translates its addresses: one table per IOMMU interface (iommu_type1.c,
 * iommu_iommufd.c). A back end maps pieces and knows neither files nor who asked; kernel_map.c cuts, counts and undoes.
 */
#ifndef NPUD_VFIO_IOMMU_H
#define NPUD_VFIO_IOMMU_H

#include "daemon/util/list.h"
#include "daemon/vfio/map_table.h"
#include "daemon/vfio/vfio.h"

struct vfio_kernel;
struct kernel_why;

struct vfio_space {
	struct list link; /* of vfio_kernel.spaces */
	struct map_table maps;
	uint32_t ioas; /* 0 = none: iommufd's ids begin at 1 */
	uint32_t hwpt;
};

/* What one call maps: at most IOMMU_PIECE_BYTES. */
struct iommu_piece {
	int fd;
	uint64_t offset; /* into fd */
	void *address; /* where the same bytes are in this process; NULL if the back end takes files */
	uint64_t iova;
	uint64_t bytes;
	unsigned prot;
};

struct iommu_ops {
	/* What the device layer sees, and calls the back end by. */
	const struct vfio_ops *device;
	/*
	 * Opens the device and leaves it attached to an empty table, with page size, limits and reserved ranges known.
	 * Undoes nothing on failure: close() follows. -EBUSY: another process has the device.
	 */
	int (*open)(struct vfio_kernel *kernel, struct kernel_why *why);
	int (*map)(struct vfio_kernel *kernel, struct vfio_space *space, const struct iommu_piece *piece);
	/* Whole pieces. Fails unless exactly `bytes` were unmapped. */
	int (*unmap)(struct vfio_kernel *kernel, struct vfio_space *space, uint64_t iova, uint64_t bytes);
	/* Before the device's descriptor is closed; what it opened itself is closed by the caller. */
	void (*close)(struct vfio_kernel *kernel);
};

extern const struct iommu_ops iommu_type1;
extern const struct iommu_ops iommu_iommufd;

/* A usable range of bus addresses, ends included. */
struct iommu_usable {
	uint64_t first;
	uint64_t last;
};

/*
 * The complement of `usable` (sorted in place) as the device's reserved ranges. With more holes than there is room
 * for, the last one takes all that follows: too much is reserved, never too little.
 */
void iommu_reserve_rest(struct vfio_device *device, struct iommu_usable *usable, size_t count);

#endif
