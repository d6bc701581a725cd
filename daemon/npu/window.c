/* SPDX-License-Identifier: Apache-2.0 */
/* Windows of bus addresses per generation; see window.h. The facts are those of docs/hardware/memory.md. */
#include "daemon/npu/window.h"

#include <errno.h>

#define GIB (1ull << 30)
/* Required of nobody, done by everybody: V3_2's library does it, and the low 12 bits of an ASID base are flags. */
#define BASE_ALIGN (1ull << 20)
#define NPU_GENERATIONS (NPU_GEN_V3_2 + 1)

static const struct npu_reach reaches[NPU_GENERATIONS] = {
    /* Identity: the 32 bits are the bus address, there is no base to choose, so there is one window for all. */
    [NPU_GEN_V1] = {.last_slot = 0, .bytes = 3 * GIB, .base_align = IOVA_SLOT_BYTES},
    /*
     * ASE0 (read and write) and ASE1 (read) are programmed for every job, ASE2 and ASE3 stay disabled. A base has 64
     * bits, but the bus has 35. X1's DTCM appears at 0xd0000000, above the window.
     */
    [NPU_GEN_V2] = {.first_slot = 1,
		    .last_slot = 7,
		    .bytes = 3 * GIB,
		    .base_align = BASE_ALIGN,
		    .bases_readable = 0x3,
		    .bases_writable = 0x1},
    /* ASID0 and ASID1 have the same base, and then addresses end at 3 GiB. */
    [NPU_GEN_V3] = {.first_slot = 1,
		    .last_slot = 7,
		    .bytes = 3 * GIB,
		    .base_align = BASE_ALIGN,
		    .bases_readable = 0x3,
		    .bases_writable = 0x3},
    /* The bus has 36 bits; the reference driver uses [4 GiB, 36 GiB) of them, so nothing above is known to work. */
    [NPU_GEN_V3_2] = {.first_slot = 1,
		      .last_slot = 8,
		      .bytes = 7 * GIB / 2,
		      .base_align = BASE_ALIGN,
		      .bases_readable = 0x3,
		      .bases_writable = 0x3},
};

const struct npu_reach *npu_reach(enum npu_gen generation)
{
	return generation >= NPU_GEN_V1 && generation <= NPU_GEN_V3_2 ? &reaches[generation] : NULL;
}

int npu_window(enum npu_gen generation, uint32_t slot, struct npu_window *out)
{
	const struct npu_reach *reach = npu_reach(generation);

	if (!reach)
		return -ENOTSUP;
	if (slot > reach->last_slot)
		return -ERANGE;
	uint64_t base = slot * IOVA_SLOT_BYTES;
	*out = (struct npu_window){
	    .base = {base},
	    .reach = {base, reach->bytes},
	    .arena = {base + NPU_ARENA_OFFSET, NPU_ARENA_BYTES},
	    .clients = {base + NPU_CLIENT_OFFSET, reach->bytes - NPU_CLIENT_OFFSET},
	};
	return 0;
}

static bool slot_usable(enum npu_gen generation, uint32_t slot, const struct iova_range *holes, size_t hole_count)
{
	struct npu_window window;

	return npu_window(generation, slot, &window) == 0 &&
	       iova_window_usable(window.clients, holes, hole_count, window.arena, NPU_CLIENT_LEAST);
}

uint32_t npu_window_slots(enum npu_gen generation, const struct iova_range *holes, size_t hole_count)
{
	const struct npu_reach *reach = npu_reach(generation);
	uint32_t usable = 0;

	if (!reach)
		return 0;
	for (uint32_t slot = reach->first_slot; slot <= reach->last_slot; slot++)
		if (slot_usable(generation, slot, holes, hole_count))
			usable |= 1u << slot;
	if (usable == 0 && slot_usable(generation, 0, holes, hole_count))
		usable = 1;
	return usable;
}
