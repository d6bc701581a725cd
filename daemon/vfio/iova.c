/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First-fit IOVA allocator: one array of taken extents (allocations and holes), sorted by address and free of overlap.
 * An address space holds a few thousand extents at most, so a linear walk is shorter than the system call after it.
 */
#include "daemon/vfio/iova.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096ull

struct extent {
	uint64_t first;
	uint64_t end; /* exclusive */
	bool hole;
};

struct iova_space {
	uint64_t first;
	uint64_t end;
	struct extent *taken;
	size_t count;
	size_t capacity;
	size_t live;
};

/* The window itself ends below 2^64, so rounding inside it cannot wrap if `value + align - 1` does not. */
static bool round_up(uint64_t value, uint64_t align, uint64_t *out)
{
	if (__builtin_add_overflow(value, align - 1, out))
		return false;
	*out &= ~(align - 1);
	return true;
}

static int extent_insert(struct iova_space *space, size_t index, struct extent extent)
{
	if (space->count == space->capacity) {
		size_t capacity = space->capacity ? 2 * space->capacity : 16;
		struct extent *grown = reallocarray(space->taken, capacity, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		space->taken = grown;
		space->capacity = capacity;
	}
	memmove(&space->taken[index + 1], &space->taken[index], (space->count - index) * sizeof(extent));
	space->taken[index] = extent;
	space->count++;
	return 0;
}

/* Index of the first extent that ends after `address`. */
static size_t extent_after(const struct iova_space *space, uint64_t address)
{
	size_t low = 0, high = space->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (space->taken[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Holes are clipped to the window, widened to whole pages, and merged with the holes they touch. */
static int hole_add(struct iova_space *space, struct iova_range hole)
{
	uint64_t first = hole.first & ~(PAGE - 1), end;

	if (hole.bytes == 0)
		return 0;
	if (__builtin_add_overflow(hole.first, hole.bytes - 1, &end))
		return -EINVAL;
	if (end < space->first || first >= space->end)
		return 0;
	end = end >= space->end - 1 ? space->end : (end | (PAGE - 1)) + 1;
	if (first < space->first)
		first = space->first;
	size_t index = extent_after(space, first);
	while (index < space->count && space->taken[index].first < end) {
		if (space->taken[index].first < first)
			first = space->taken[index].first;
		if (space->taken[index].end > end)
			end = space->taken[index].end;
		space->count--;
		memmove(&space->taken[index], &space->taken[index + 1], (space->count - index) * sizeof(*space->taken));
	}
	return extent_insert(space, index, (struct extent){first, end, true});
}

int iova_space_new(struct iova_range window, const struct iova_range *holes, size_t hole_count, struct iova_space **out)
{
	uint64_t end;
	struct iova_space *space;
	int rc = 0;

	if (window.bytes == 0 || (window.first | window.bytes) % PAGE ||
	    __builtin_add_overflow(window.first, window.bytes, &end))
		return -EINVAL;
	space = calloc(1, sizeof(*space));
	if (!space)
		return -ENOMEM;
	space->first = window.first;
	space->end = end;
	for (size_t i = 0; i < hole_count && rc == 0; i++)
		rc = hole_add(space, holes[i]);
	if (rc) {
		iova_space_free(space);
		return rc;
	}
	*out = space;
	return 0;
}

struct iova_space *iova_space_free(struct iova_space *space)
{
	if (space)
		free(space->taken);
	free(space);
	return NULL;
}

/* A hole that wraps reaches to the end of the address space. */
static bool ranges_touch(struct iova_range a, struct iova_range b)
{
	uint64_t a_last, b_last;

	if (a.bytes == 0 || b.bytes == 0)
		return false;
	if (__builtin_add_overflow(a.first, a.bytes - 1, &a_last))
		a_last = UINT64_MAX;
	if (__builtin_add_overflow(b.first, b.bytes - 1, &b_last))
		b_last = UINT64_MAX;
	return a.first <= b_last && b.first <= a_last;
}

bool iova_window_usable(struct iova_range window, const struct iova_range *holes, size_t hole_count,
			struct iova_range needed, uint64_t least)
{
	struct iova_space *space;

	for (size_t i = 0; i < hole_count; i++)
		if (ranges_touch(needed, holes[i]))
			return false;
	if (iova_space_new(window, holes, hole_count, &space) != 0)
		return false;
	bool enough = iova_free_bytes(space) >= least;
	iova_space_free(space);
	return enough;
}

static bool size_round(const struct iova_space *space, uint64_t bytes, uint64_t *rounded)
{
	return bytes != 0 && bytes <= space->end - space->first && round_up(bytes, PAGE, rounded);
}

int iova_alloc(struct iova_space *space, uint64_t bytes, uint64_t align, iova_t *out)
{
	uint64_t cursor = space->first;

	if (align < PAGE && (align & (align - 1)) == 0)
		align = PAGE;
	if (align & (align - 1) || bytes == 0)
		return -EINVAL;
	if (!size_round(space, bytes, &bytes))
		return -ENOSPC;
	for (size_t i = 0; i <= space->count; i++) {
		uint64_t limit = i < space->count ? space->taken[i].first : space->end, at;

		if (!round_up(cursor, align, &at))
			return -ENOSPC;
		if (at <= limit && limit - at >= bytes) {
			int rc = extent_insert(space, i, (struct extent){at, at + bytes, false});

			if (rc)
				return rc;
			space->live++;
			out->v = at;
			return 0;
		}
		if (i < space->count)
			cursor = space->taken[i].end;
	}
	return -ENOSPC;
}

uint64_t iova_natural_align(uint64_t bytes, uint64_t page_sizes)
{
	uint64_t largest = bytes < IOVA_LARGE_PAGE ? bytes : IOVA_LARGE_PAGE;

	if (page_sizes == 0)
		page_sizes = PAGE | IOVA_LARGE_PAGE;
	for (uint64_t page = IOVA_LARGE_PAGE; page > PAGE; page >>= 1)
		if (page & page_sizes && page <= largest)
			return page;
	return PAGE;
}

int iova_alloc_natural(struct iova_space *space, uint64_t bytes, uint64_t align, uint64_t page_sizes, iova_t *out)
{
	uint64_t natural = iova_natural_align(bytes, page_sizes);

	if (align & (align - 1))
		return -EINVAL;
	while (natural > align && natural > PAGE) {
		int rc = iova_alloc(space, bytes, natural, out);

		if (rc != -ENOSPC)
			return rc;
		natural = iova_natural_align(natural - 1, page_sizes);
	}
	return iova_alloc(space, bytes, align, out);
}

int iova_alloc_at(struct iova_space *space, iova_t at, uint64_t bytes)
{
	if (!size_round(space, bytes, &bytes) || at.v % PAGE || at.v < space->first || at.v >= space->end ||
	    space->end - at.v < bytes)
		return -EINVAL;
	size_t index = extent_after(space, at.v);
	if (index < space->count && space->taken[index].first < at.v + bytes)
		return -EEXIST;
	int rc = extent_insert(space, index, (struct extent){at.v, at.v + bytes, false});
	if (rc == 0)
		space->live++;
	return rc;
}

int iova_release(struct iova_space *space, iova_t at, uint64_t bytes)
{
	size_t index = extent_after(space, at.v);

	if (!size_round(space, bytes, &bytes) || index >= space->count)
		return -ENOENT;
	const struct extent *extent = &space->taken[index];
	if (extent->hole || extent->first != at.v || extent->end - extent->first != bytes)
		return -ENOENT;
	space->count--;
	space->live--;
	memmove(&space->taken[index], &space->taken[index + 1], (space->count - index) * sizeof(*space->taken));
	return 0;
}

uint64_t iova_free_bytes(const struct iova_space *space)
{
	uint64_t bytes = space->end - space->first;

	for (size_t i = 0; i < space->count; i++)
		bytes -= space->taken[i].end - space->taken[i].first;
	return bytes;
}

size_t iova_live(const struct iova_space *space)
{
	return space->live;
}
