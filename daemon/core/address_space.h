/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of one session: a slot (4 GiB window of bus addresses), the IOVAs of its buffers, and the arena, daemon
 * memory at a fixed place inside the window that holds TCB chains, hold TCBs and print pages. It maps nothing into a
 * device; the device's owner does.
 *
 * Offsets in the window: arena [1 MiB, 17 MiB), buffers [32 MiB, 3 GiB); the rest is never mapped.
 */
#ifndef NPUD_CORE_ADDRESS_SPACE_H
#define NPUD_CORE_ADDRESS_SPACE_H

#include <stddef.h>

#include "daemon/core/mapping.h"
#include "daemon/util/fail.h"
#include "daemon/vfio/iova.h"
#include "proto/zhouyi_tcb.h"

#define SPACE_FIRST_SLOT 1u
#define SPACE_LAST_SLOT 7u
#define SPACE_SLOTS (SPACE_LAST_SLOT + 1)

#define ARENA_OFFSET (1ull << 20)
#define ARENA_BYTES (16ull << 20)
#define ARENA_PAGE 4096u
#define ARENA_PAGES (ARENA_BYTES / ARENA_PAGE)
#define ARENA_HOLDS 31u /* page 0: END code, then the ring of hold TCBs */
#define SPACE_CLIENT_OFFSET (32ull << 20)
#define SPACE_CLIENT_END 0xc0000000ull

struct address_space {
	uint32_t slot;
	iova_t base; /* of ASID0 and ASID1 */
	struct iova_space *iovas;
	struct mapping arena; /* fd -1 until the first job */
	uint8_t *memory; /* the arena in the daemon */
	uint64_t page_used[ARENA_PAGES / 64];
	uint32_t pages_used;
};

int address_space_init(struct address_space *space, uint32_t slot);
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

static inline uint32_t arena_hold_offset(uint32_t index)
{
	return (1 + index % ARENA_HOLDS) * ZY_TCB_BYTES;
}

#endif
