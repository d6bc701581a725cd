/* SPDX-License-Identifier: Apache-2.0 */
/* The three ways of a memory file into a page table of the fake kernel, and what tests of maps need for each. */
#ifndef NPUD_TESTS_KERNEL_WAYS_H
#define NPUD_TESTS_KERNEL_WAYS_H

#include "tests/unit/daemon/fake_kernel.h"

#define RW (VFIO_READ | VFIO_WRITE)
#define KIBI (1ull << 10)
#define MEBI (1ull << 20)
#define GIBI (1ull << 30)

/* The three ways into a page table. */
enum way { BY_FILE, BY_ADDRESS, TYPE1, WAYS };

static inline struct vfio_device *open_way(int way)
{
	fake_start(true);
	fake.map_file = way == BY_FILE;
	return fake_device_open(way == TYPE1 ? VFIO_IOMMU_TYPE1 : VFIO_IOMMU_IOMMUFD);
}

/* An address space and the number of its table; type1 has one. */
static inline struct vfio_space *space_of(struct vfio_device *device, uint32_t *table)
{
	struct vfio_space *space = NULL;

	*table = 0;
	if (!device->ops->space_new)
		return NULL;
	ck_assert_int_eq(device->ops->space_new(device, &space), 0);
	for (*table = FAKE_TABLES - 1; !fake_iommu.tables[*table].live; (*table)--) {
	}
	return space;
}

static inline int map(struct vfio_device *device, struct vfio_space *space, int fd, uint64_t offset, uint64_t iova,
		      uint64_t bytes, unsigned prot)
{
	return device->ops->map(device, space, fd, offset, (iova_t){iova}, bytes, prot);
}

static inline int unmap(struct vfio_device *device, struct vfio_space *space, uint64_t iova, uint64_t bytes)
{
	return device->ops->unmap(device, space, (iova_t){iova}, bytes);
}

static inline void assert_reaches(uint32_t table, uint64_t iova, int fd, uint64_t offset, unsigned prot)
{
	const struct fake_map *found = fake_dma(table, iova);

	ck_assert_ptr_nonnull(found);
	ck_assert_uint_eq(found->inode, fake_inode(fd));
	ck_assert_uint_eq(found->offset + (iova - found->iova), offset);
	ck_assert_uint_eq(found->prot, prot);
}

#endif
