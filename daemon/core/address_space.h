/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of one session, or of those that share it: a slot (4 GiB window of bus addresses), the IOVAs of
 * buffers, and the arena, daemon memory at a fixed place inside the window that holds TCB chains, hold TCBs and print
 * pages. The arena is mapped in pieces, those that a job of the tenure needs: the kernel pins what is mapped. Nothing
 * is mapped here; the device's owner does that.
 *
 * Where in the window arena and buffers are is the generation's: daemon/npu/window.h. The rest is never mapped.
 */
#ifndef NPUD_CORE_ADDRESS_SPACE_H
#define NPUD_CORE_ADDRESS_SPACE_H

#include <stddef.h>

#include "daemon/core/mapping.h"
#include "daemon/util/list.h"
#include "daemon/util/fail.h"
#include "daemon/npu/window.h"
#include "daemon/vfio/iova.h"
#include "daemon/vfio/vfio.h"
#include "proto/zhouyi_tcb.h"

struct device;
struct tenant;

#define SPACE_SLOTS 9u /* of any generation: daemon/npu/window.h */

#define ARENA_OFFSET NPU_ARENA_OFFSET
#define ARENA_BYTES NPU_ARENA_BYTES
#define ARENA_PAGE 4096u
#define ARENA_PAGES (ARENA_BYTES / ARENA_PAGE)
#define ARENA_PIECE_BYTES (64u << 10)
#define ARENA_PIECES (ARENA_BYTES / ARENA_PIECE_BYTES)
#define ARENA_HOLDS 31u /* page 0: END code, then the ring of hold TCBs */

struct address_space {
	uint32_t slot;
	iova_t base; /* of ASID0 and ASID1 */
	struct iova_space *iovas;
	uint64_t client_bytes; /* addresses for buffers, used or not */
	struct vfio_space *io; /* the device's page table for it, where it can keep several; the worker's */
	int arena_fd; /* -1 until the first job */
	struct mapping *pieces; /* ARENA_PIECES of them, NULL until the first job */
	uint8_t *memory; /* the arena in the daemon */
	uint64_t page_used[ARENA_PAGES / 64];
	uint32_t pages_used;
	uint16_t next_grid; /* number of the next job */

	/* Who uses it: spaces.h. */
	struct list link; /* host->spaces, while sessions to come may share it */
	uint64_t id; /* of no other, ever: whose residue is on a chip */
	const struct device *device;
	const struct tenant *tenant; /* whose sessions may share it; NULL: those of all tenants that share */
	uint32_t sessions;
	uint32_t staying; /* of them, those that neither end nor move away */
};

/* What a device can address: its generation's windows, and what lies in none of them. */
struct space_reach {
	enum npu_gen generation;
	struct iova_range reserved[VFIO_MAX_RESERVED]; /* can never be mapped */
	size_t reserved_count;
};

/* -ERANGE: not a slot of the generation. The caller knows that it is usable: npu_window_slots(). */
int address_space_init(struct address_space *space, const struct space_reach *reach, uint32_t slot);
/* Closes the arena, which may block on returning memory. The device no longer maps it. */
void address_space_fini(struct address_space *space);

/* The arena is made with the first job. */
int address_space_open_arena(struct address_space *space);

int address_space_alloc(struct address_space *space, uint64_t bytes, uint64_t align, iova_t *out);
void address_space_release(struct address_space *space, iova_t iova, uint64_t bytes);

/* Contiguous arena pages, first fit; the offset is from the arena's start. -ENOSPC. */
int arena_alloc(struct address_space *space, uint64_t bytes, uint32_t *offset);
void arena_release(struct address_space *space, uint32_t offset, uint64_t bytes);

/* Rewrite what NPU code may have overwritten: the END packet. */
void arena_restore_code(struct address_space *space);
union zy3_tcb *arena_hold(struct address_space *space, uint32_t index);

static inline iova_t arena_iova(const struct address_space *space, uint32_t offset)
{
	return iova_add(space->base, ARENA_OFFSET + offset);
}

/* Every address of a space is below 4 GiB from its base. */
static inline npu_addr_t space_npu_addr(const struct address_space *space, iova_t iova)
{
	return (npu_addr_t){(uint32_t)(iova.v - space->base.v)};
}

/* The pieces that [offset, offset + bytes) of the arena touches: [first, end). */
struct arena_span {
	uint32_t first;
	uint32_t end;
};

static inline struct arena_span arena_pieces(uint32_t offset, uint64_t bytes)
{
	return (struct arena_span){offset / ARENA_PIECE_BYTES,
				   (uint32_t)((offset + bytes + ARENA_PIECE_BYTES - 1) / ARENA_PIECE_BYTES)};
}

static inline uint32_t arena_hold_offset(uint32_t index)
{
	return (1 + index % ARENA_HOLDS) * ZY_TCB_BYTES;
}

#endif
