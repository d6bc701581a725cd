/* SPDX-License-Identifier: Apache-2.0 */
/* From the ranges that the kernel calls usable to the holes that the allocator has to leave out. */
#include "daemon/vfio/iommu.h"

#include <stdlib.h>

static int usable_compare(const void *a, const void *b)
{
	const struct iommu_usable *left = a, *right = b;

	return (left->first > right->first) - (left->first < right->first);
}

/* [first, last], false when the table is full: its last entry was stretched instead. */
static bool hole_add(struct vfio_device *device, uint64_t first, uint64_t last)
{
	/* A range ends at first + bytes: the last byte of 2^64 cannot be named, and is in no page with the rest. */
	uint64_t bytes = last - first + (last != UINT64_MAX);

	if (device->reserved_count == VFIO_MAX_RESERVED) {
		struct iova_range *final = &device->reserved[VFIO_MAX_RESERVED - 1];

		final->bytes = UINT64_MAX - final->first;
		return false;
	}
	device->reserved[device->reserved_count++] = (struct iova_range){first, bytes};
	return true;
}

void iommu_reserve_rest(struct vfio_device *device, struct iommu_usable *usable, size_t count)
{
	uint64_t next = 0; /* the first address not looked at */

	device->reserved_count = 0;
	qsort(usable, count, sizeof(*usable), usable_compare);
	for (size_t i = 0; i < count; i++) {
		if (usable[i].last < next || usable[i].last < usable[i].first)
			continue;
		if (usable[i].first > next && !hole_add(device, next, usable[i].first - 1))
			return;
		if (usable[i].last == UINT64_MAX)
			return;
		next = usable[i].last + 1;
	}
	hole_add(device, next, UINT64_MAX);
}
