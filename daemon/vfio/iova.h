/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IOVA allocation inside one window with reserved holes. Owns numbers only: it maps nothing, and it never hands out an
 * address twice, outside its window or inside a hole.
 */
#ifndef NPUD_VFIO_IOVA_H
#define NPUD_VFIO_IOVA_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/util/types.h"

/* [first, first + bytes) */
struct iova_range {
	uint64_t first;
	uint64_t bytes;
};

/* A slot is a 4 GiB window: the reach of the 32-bit addresses of NPU code from one base. */
#define IOVA_SLOT_BYTES (1ull << 32)
/* What NPU code may use of it: on-chip memories and registers shadow the rest. */
#define IOVA_SLOT_USABLE_BYTES (3ull << 30)

/* The window of slot `slot`; slot 0 is also where identity-addressed NPUs (V1) live. */
static inline struct iova_range iova_slot_window(uint32_t slot)
{
	return (struct iova_range){(uint64_t)slot * IOVA_SLOT_BYTES, IOVA_SLOT_USABLE_BYTES};
}

/* The largest page that client memory can come in: a larger alignment would not make a shorter page table. */
#define IOVA_LARGE_PAGE (2ull << 20)

/*
 * The largest page of the IOMMU that fits into `bytes`, so that whole pages of that size can be used. `page_sizes` is
 * VFIO's bitmap (bit 12: 4 KiB); 0: not known, 4 KiB and 2 MiB are assumed. Never less than 4 KiB.
 */
uint64_t iova_natural_align(uint64_t bytes, uint64_t page_sizes);

/*
 * Can a window be used in spite of `holes`: none of them touches `needed` (which may lie outside the window), and what
 * they leave of the window is `least` bytes or more?
 */
bool iova_window_usable(struct iova_range window, const struct iova_range *holes, size_t hole_count,
			struct iova_range needed, uint64_t least);

struct iova_space;

/* Holes may overlap each other and reach outside the window. -EINVAL: empty window or a range that wraps. */
int iova_space_new(struct iova_range window, const struct iova_range *holes, size_t hole_count,
		   struct iova_space **out);
struct iova_space *iova_space_free(struct iova_space *space);

/*
 * The lowest free address. `bytes` is rounded up to 4 KiB; `align` is a power of two, 0 = 4 KiB; it holds for the
 * absolute address. -ENOSPC when no gap is large enough, -EINVAL for a bad size or alignment.
 */
int iova_alloc(struct iova_space *space, uint64_t bytes, uint64_t align, iova_t *out);
/* That address or -EEXIST; -EINVAL outside the window or unaligned. */
int iova_alloc_at(struct iova_space *space, iova_t at, uint64_t bytes);
/*
 * Like iova_alloc(), at the largest natural alignment (below) that finds a place, and at least at `align`: a nicer
 * address is never a reason to refuse one.
 */
int iova_alloc_natural(struct iova_space *space, uint64_t bytes, uint64_t align, uint64_t page_sizes, iova_t *out);
/* Exactly what was allocated, or -ENOENT. */
int iova_release(struct iova_space *space, iova_t at, uint64_t bytes);

uint64_t iova_free_bytes(const struct iova_space *space);
/* Allocations that live; holes do not count. */
size_t iova_live(const struct iova_space *space);

#endif
