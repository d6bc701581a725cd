/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each generation's NPU code can look: the slots (4 GiB windows of bus addresses) a device has, and what of a
 * slot is the daemon's and what the clients'. Numbers only: no register is touched and nothing is allocated.
 *
 * For whoever makes address spaces:
 *
 *   usable = npu_window_slots(generation, vfio->reserved, vfio->reserved_count)   once per device; 0: refuse the device
 *   npu_window(generation, slot, &window)                                         for a slot whose bit is set
 *   iova_space_new(window.clients, vfio->reserved, vfio->reserved_count, &space)
 *   iova_alloc_natural(space, bytes, align, page_sizes, &iova)
 *
 * The arena is mapped at window.arena; NPU addresses are relative to window.base. Bit 0 among the usable slots means
 * that sessions are in slot 0: always on V1, elsewhere only when the IOMMU reaches no further. The daemon's own jobs
 * then have no slot of their own: they use the arena of the session, or run while no session is mapped.
 */
#ifndef NPUD_NPU_WINDOW_H
#define NPUD_NPU_WINDOW_H

#include "daemon/npu/npu.h"

/* What a slot has at the same place in every generation. Address 0 stays empty: it ends a chain, and is a null pointer.
 */
#define NPU_ARENA_OFFSET (1ull << 20)
#define NPU_ARENA_BYTES (16ull << 20)
#define NPU_CLIENT_OFFSET (32ull << 20)
/* Holes may leave less than this to the clients: such a slot is not worth having. */
#define NPU_CLIENT_LEAST (256ull << 20)

/* The rules of a generation. */
struct npu_reach {
	uint32_t first_slot; /* for sessions; slot 0 is the daemon's, unless it is the only one */
	uint32_t last_slot;
	uint64_t
	    bytes; /* [base, base + bytes) is reached with 32-bit NPU addresses; on-chip memories shadow the rest */
	uint64_t base_align; /* of what is put into a base register; every slot has it */
	/* Base registers (ASE of V2, ASID of V3 and V3_2), bit per register. The others are to be disabled. */
	uint8_t bases_readable;
	uint8_t bases_writable;
};

struct npu_window {
	iova_t base; /* what NPU addresses are relative to, and the content of every enabled base register */
	struct iova_range reach;
	struct iova_range arena; /* the daemon's: chains, print pages, its own jobs */
	struct iova_range clients; /* buffers */
};

/* NULL for a generation that nobody knows. */
const struct npu_reach *npu_reach(enum npu_gen generation);

/* -ENOTSUP: unknown generation; -ERANGE: it has no such slot. Slot 0 is always given. */
int npu_window(enum npu_gen generation, uint32_t slot, struct npu_window *out);

/*
 * The slots that sessions can have, a bit each, in spite of `holes`: the arena is untouched by them, and enough is left
 * for clients. 0 if there is none.
 */
uint32_t npu_window_slots(enum npu_gen generation, const struct iova_range *holes, size_t hole_count);

#endif
