/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fake kernel's memory side: what this process has mapped (so that an address means a file), page tables with pins
 * and locked-memory accounting, and the rules of type1 and iommufd about both. It decides; it undoes nothing for the
 * caller.
 */
#ifndef NPUD_TESTS_FAKE_IOMMU_H
#define NPUD_TESTS_FAKE_IOMMU_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "daemon/vfio/uapi.h"
#include "tests/unit/suite.h"

#define FAKE_VMAS 64
#define FAKE_TABLES 16
#define FAKE_PAGE 4096u
#define FAKE_READ 1u
#define FAKE_WRITE 2u

/* A part of this process's address space, the latest for an address counts. */
struct fake_vma {
	uint64_t address, bytes;
	ino_t inode; /* 0: no file */
	uint64_t offset;
	int prot;
};

struct fake_map {
	uint64_t iova, bytes;
	ino_t inode;
	uint64_t offset;
	unsigned prot;
	uint64_t address; /* at which it was shown, 0: by file */
};

struct fake_table {
	bool live; /* an IOAS, or the container's table */
	bool hwpt; /* has its page table */
	bool narrowed; /* a device has been attached through it */
	uint32_t allowed; /* ranges promised */
	uint32_t count, capacity;
	struct fake_map *maps;
};

struct fake_iommu {
	struct fake_vma vmas[FAKE_VMAS];
	unsigned vma_count;
	int mmaps; /* live, without those placed over others */
	uint64_t mmap_peak; /* most bytes of files seen at once */
	struct fake_table tables[FAKE_TABLES]; /* [0]: type1 */
	uint32_t attached; /* index into tables, 0 = none (iommufd) */
	unsigned attaches, detaches;
	uint64_t pinned, limit; /* bytes; limit of RLIMIT_MEMLOCK */
	uint32_t entries, max_entries; /* type1 */
	uint64_t page; /* alignment */
	uint64_t aperture_last;
	uint64_t hole_first, hole_last; /* interrupt window */
	bool short_unmap; /* report a page less than was unmapped */
	bool trusting; /* do not look for overlaps */
};

static struct fake_iommu fake_iommu;

/* ------------------------------------------------------------------ this process */

static inline uint64_t fake_file_bytes(void)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < fake_iommu.vma_count; i++)
		if (fake_iommu.vmas[i].inode)
			bytes += fake_iommu.vmas[i].bytes;
	return bytes;
}

static inline void fake_vma_forget(uint64_t address, uint64_t bytes)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < fake_iommu.vma_count; i++) {
		const struct fake_vma *vma = &fake_iommu.vmas[i];

		if (vma->address < address || vma->address + vma->bytes > address + bytes)
			fake_iommu.vmas[kept++] = *vma;
	}
	fake_iommu.vma_count = kept;
}

static inline void fake_vma_add(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	struct stat st = {0};

	/* What lies under a fixed map is replaced; what was shown before may reach beyond it, as it does in truth. */
	if (flags & MAP_FIXED)
		fake_vma_forget((uintptr_t)at, bytes);
	else
		fake_iommu.mmaps++;
	if (fd >= 0)
		ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_lt(fake_iommu.vma_count, FAKE_VMAS);
	fake_iommu.vmas[fake_iommu.vma_count++] =
	    (struct fake_vma){(uintptr_t)at, bytes, st.st_ino, (uint64_t)offset, prot};
	if (fake_file_bytes() > fake_iommu.mmap_peak)
		fake_iommu.mmap_peak = fake_file_bytes();
}

static inline const struct fake_vma *fake_vma_at(uint64_t address, uint64_t bytes)
{
	for (unsigned i = fake_iommu.vma_count; i-- > 0;) {
		const struct fake_vma *vma = &fake_iommu.vmas[i];

		if (vma->address <= address && vma->address + vma->bytes >= address + bytes)
			return vma;
	}
	return NULL;
}

/* ------------------------------------------------------------------ page tables */

static inline bool fake_in_hole(uint64_t first, uint64_t last)
{
	return last > fake_iommu.aperture_last || (first <= fake_iommu.hole_last && last >= fake_iommu.hole_first);
}

static inline const struct fake_map *fake_table_find(const struct fake_table *table, uint64_t first, uint64_t last)
{
	for (uint32_t i = 0; i < table->count; i++)
		if (table->maps[i].iova <= last && table->maps[i].iova + (table->maps[i].bytes - 1) >= first)
			return &table->maps[i];
	return NULL;
}

/* The map that the device would reach, or NULL: a fault. */
static inline const struct fake_map *fake_dma(uint32_t table, uint64_t iova)
{
	return fake_table_find(&fake_iommu.tables[table], iova, iova);
}

static inline int fake_pin(struct fake_table *table, const struct fake_map *map)
{
	if (map->bytes == 0 || (map->iova | map->bytes | map->address | map->offset) % fake_iommu.page || !map->prot ||
	    map->iova + map->bytes < map->iova)
		return EINVAL;
	if ((table == fake_iommu.tables || table->narrowed) && fake_in_hole(map->iova, map->iova + (map->bytes - 1)))
		return EINVAL;
	if (!fake_iommu.trusting && fake_table_find(table, map->iova, map->iova + (map->bytes - 1)))
		return EEXIST;
	if (fake_iommu.pinned + map->bytes > fake_iommu.limit)
		return ENOMEM;
	if (table->count == table->capacity) {
		table->capacity = table->capacity ? 2 * table->capacity : 64;
		table->maps = reallocarray(table->maps, table->capacity, sizeof(*table->maps));
		ck_assert_ptr_nonnull(table->maps);
	}
	table->maps[table->count++] = *map;
	fake_iommu.pinned += map->bytes;
	return 0;
}

static inline int fake_pin_address(struct fake_table *table, struct fake_map map)
{
	const struct fake_vma *vma = fake_vma_at(map.address, map.bytes);
	int need = map.prot & FAKE_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;

	if (!vma || !vma->inode || (vma->prot & need) != need)
		return EFAULT;
	map.inode = vma->inode;
	map.offset = vma->offset + (map.address - vma->address);
	return fake_pin(table, &map);
}

/* Whole maps inside [first, last]; *cut if one reaches out. */
static inline uint64_t fake_unpin(struct fake_table *table, uint64_t first, uint64_t last, bool *cut)
{
	uint64_t bytes = 0;
	uint32_t kept = 0;

	*cut = false;
	for (uint32_t i = 0; i < table->count; i++) {
		uint64_t map_last = table->maps[i].iova + (table->maps[i].bytes - 1);

		if (table->maps[i].iova <= last && map_last >= first &&
		    (table->maps[i].iova < first || map_last > last))
			*cut = true;
	}
	for (uint32_t i = 0; i < table->count && !*cut; i++) {
		if (table->maps[i].iova >= first && table->maps[i].iova <= last)
			bytes += table->maps[i].bytes;
		else
			table->maps[kept++] = table->maps[i];
	}
	if (!*cut)
		table->count = kept;
	fake_iommu.pinned -= bytes;
	return bytes - (fake_iommu.short_unmap ? FAKE_PAGE : 0);
}

static inline void fake_table_end(struct fake_table *table)
{
	for (uint32_t i = 0; i < table->count; i++)
		fake_iommu.pinned -= table->maps[i].bytes;
	free(table->maps);
	*table = (struct fake_table){0};
}

/* ------------------------------------------------------------------ type1 */

static inline int fake_type1_info(struct vfio_iommu_type1_info *info)
{
	struct {
		struct vfio_iommu_type1_info info;
		struct vfio_iommu_type1_info_dma_avail avail;
		uint32_t pad;
		struct vfio_info_cap_header ranges;
		uint32_t range_count, reserved;
		struct vfio_iova_range range[2];
	} full = {.info = {.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS,
			   .iova_pgsizes = fake_iommu.page | (2u << 20),
			   .cap_offset = sizeof(full.info)},
		  .avail = {{VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1, sizeof(full.info) + 16}, fake_iommu.max_entries},
		  .ranges = {VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0},
		  .range_count = 2};
	uint32_t room = info->argsz;

	full.range[0] = (struct vfio_iova_range){0, fake_iommu.hole_first - 1};
	full.range[1] = (struct vfio_iova_range){fake_iommu.hole_last + 1, fake_iommu.aperture_last};
	if (room < sizeof(full)) {
		full.info.cap_offset = 0;
		full.info.argsz = sizeof(full);
		memcpy(info, &full.info, sizeof(full.info));
		return 0;
	}
	full.info.argsz = room;
	memcpy(info, &full, sizeof(full));
	return 0;
}

static inline int fake_type1(unsigned long request, void *argument)
{
	struct fake_table *table = &fake_iommu.tables[0];
	struct vfio_iommu_type1_dma_unmap *unmap = argument;
	const struct vfio_iommu_type1_dma_map *map = argument;
	bool cut;

	switch (request) {
	case VFIO_IOMMU_GET_INFO:
		return fake_type1_info(argument);
	case VFIO_IOMMU_MAP_DMA:
		ck_assert_uint_eq(map->argsz, 32);
		if (table->count >= fake_iommu.max_entries)
			return ENOSPC;
		return fake_pin_address(
		    table, (struct fake_map){
			       .iova = map->iova, .bytes = map->size, .prot = map->flags, .address = map->vaddr});
	case VFIO_IOMMU_UNMAP_DMA:
		ck_assert_uint_eq(unmap->argsz, 24);
		unmap->size = fake_unpin(table, unmap->iova, unmap->iova + (unmap->size - 1), &cut);
		return cut ? EINVAL : 0;
	default:
		return ENOTTY;
	}
}

/* ------------------------------------------------------------------ iommufd: IOAS n is table n, its HWPT 100 + n */

static inline struct fake_table *fake_ioas(uint32_t id)
{
	return id > 0 && id < FAKE_TABLES && fake_iommu.tables[id].live ? &fake_iommu.tables[id] : NULL;
}

static inline int fake_destroy(uint32_t id)
{
	struct fake_table *table = fake_ioas(id > 100 ? id - 100 : id);

	if (!table || (id > 100 && !table->hwpt))
		return ENOENT;
	if (id > 100) {
		if (fake_iommu.attached == id - 100)
			return EBUSY;
		table->hwpt = false;
		return 0;
	}
	if (table->hwpt)
		return EBUSY;
	fake_table_end(table);
	return 0;
}

static inline int fake_ioas_alloc(struct iommu_ioas_alloc *alloc)
{
	for (uint32_t i = 1; i < FAKE_TABLES; i++) {
		if (fake_iommu.tables[i].live)
			continue;
		fake_iommu.tables[i].live = true;
		alloc->out_ioas_id = i;
		return 0;
	}
	return ENOMEM;
}

static inline int fake_ioas_ranges(const struct fake_table *table, struct iommu_ioas_iova_ranges *ranges)
{
	struct iommu_iova_range all[2] = {{0, UINT64_MAX}};
	struct iommu_iova_range *out = (struct iommu_iova_range *)(uintptr_t)ranges->allowed_iovas;
	uint32_t room = ranges->num_iovas;

	ranges->num_iovas = table->narrowed ? 2 : 1;
	ranges->out_iova_alignment = table->hwpt ? fake_iommu.page : 1;
	if (table->narrowed) {
		all[0].last = fake_iommu.hole_first - 1;
		all[1] = (struct iommu_iova_range){fake_iommu.hole_last + 1, fake_iommu.aperture_last};
	}
	for (uint32_t i = 0; i < room && i < ranges->num_iovas; i++)
		out[i] = all[i];
	return room < ranges->num_iovas ? EMSGSIZE : 0;
}

static inline int fake_ioas_map(const struct iommu_ioas_map *map)
{
	struct fake_table *table = fake_ioas(map->ioas_id);

	ck_assert_uint_eq(map->flags & IOMMU_IOAS_MAP_FIXED_IOVA, IOMMU_IOAS_MAP_FIXED_IOVA);
	return !table ? ENOENT
		      : fake_pin_address(
			    table, (struct fake_map){.iova = map->iova,
						     .bytes = map->length,
						     .prot = (map->flags & IOMMU_IOAS_MAP_READABLE ? FAKE_READ : 0) |
							     (map->flags & IOMMU_IOAS_MAP_WRITEABLE ? FAKE_WRITE : 0),
						     .address = map->user_va});
}

static inline int fake_ioas_map_file(const struct iommu_ioas_map_file *map)
{
	struct fake_table *table = fake_ioas(map->ioas_id);
	struct stat st;

	if (!table)
		return ENOENT;
	if (fstat(map->fd, &st))
		return EBADF;
	if (map->start + map->length > (uint64_t)st.st_size)
		return EINVAL;
	return fake_pin(table, &(struct fake_map){.iova = map->iova,
						  .bytes = map->length,
						  .inode = st.st_ino,
						  .offset = map->start,
						  .prot = (map->flags & IOMMU_IOAS_MAP_READABLE ? FAKE_READ : 0) |
							  (map->flags & IOMMU_IOAS_MAP_WRITEABLE ? FAKE_WRITE : 0)});
}

static inline int fake_ioas_unmap(struct iommu_ioas_unmap *unmap)
{
	struct fake_table *table = fake_ioas(unmap->ioas_id);
	bool cut = false;

	if (!table || !fake_table_find(table, unmap->iova, unmap->iova + (unmap->length - 1)))
		return ENOENT;
	unmap->length = fake_unpin(table, unmap->iova, unmap->iova + (unmap->length - 1), &cut);
	return cut ? ENOENT : 0;
}

static inline int fake_iommufd(unsigned long request, void *argument, bool map_file)
{
	const struct iommu_ioas_allow_iovas *allow = argument;
	struct iommu_ioas_iova_ranges *ranges = argument;
	struct iommu_hwpt_alloc *hwpt = argument;

	switch (request) {
	case IOMMU_DESTROY:
		return fake_destroy(((const struct iommu_destroy *)argument)->id);
	case IOMMU_IOAS_ALLOC:
		return fake_ioas_alloc(argument);
	case IOMMU_IOAS_ALLOW_IOVAS:
		if (!fake_ioas(allow->ioas_id))
			return ENOENT;
		fake_ioas(allow->ioas_id)->allowed = allow->num_iovas;
		return 0;
	case IOMMU_IOAS_IOVA_RANGES:
		return fake_ioas(ranges->ioas_id) ? fake_ioas_ranges(fake_ioas(ranges->ioas_id), ranges) : ENOENT;
	case IOMMU_IOAS_MAP:
		return fake_ioas_map(argument);
	case IOMMU_IOAS_MAP_FILE:
		return map_file ? fake_ioas_map_file(argument) : ENOTTY;
	case IOMMU_IOAS_UNMAP:
		return fake_ioas_unmap(argument);
	case IOMMU_HWPT_ALLOC:
		if (!fake_ioas(hwpt->pt_id))
			return ENOENT;
		fake_ioas(hwpt->pt_id)->hwpt = true;
		hwpt->out_hwpt_id = 100 + hwpt->pt_id;
		return 0;
	default:
		return ENOTTY;
	}
}

/* On an attached device this replaces. */
static inline int fake_attach(uint32_t hwpt)
{
	struct fake_table *table = fake_ioas(hwpt > 100 ? hwpt - 100 : 0);

	if (!table || !table->hwpt)
		return ENOENT;
	for (uint32_t i = 0; i < table->count; i++)
		if (fake_in_hole(table->maps[i].iova, table->maps[i].iova + (table->maps[i].bytes - 1)))
			return EADDRINUSE;
	table->narrowed = true;
	fake_iommu.attached = hwpt - 100;
	fake_iommu.attaches++;
	return 0;
}

#endif
