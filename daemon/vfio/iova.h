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
/* Exactly what was allocated, or -ENOENT. */
int iova_release(struct iova_space *space, iova_t at, uint64_t bytes);

uint64_t iova_free_bytes(const struct iova_space *space);
/* Allocations that live; holes do not count. */
size_t iova_live(const struct iova_space *space);

#endif
