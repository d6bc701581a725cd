/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each NPU has to recover with, as docs/hardware/sequences.md lists it ("The recovery ladder"). Whether a
 * transport can reset its device is known only when it is asked: every ladder has that rung, and it may fail.
 */
#include "daemon/npu/npu.h"
#include "proto/zhouyi_regs.h"

#define ABORT (1u << NPU_RUNG_ABORT)
#define SOFT_RESET (1u << NPU_RUNG_SOFT_RESET)
#define VFIO_RESET (1u << NPU_RUNG_VFIO_RESET)

static const struct {
	uint32_t revision;
	unsigned rungs;
} ladders[] = {
    /* V1 and V2 have no command pools, and of them X1 alone can reset itself. */
    {ZY_REVISION_Z1, VFIO_RESET},
    {ZY_REVISION_Z2, VFIO_RESET},
    {ZY_REVISION_Z3, VFIO_RESET},
    {ZY_REVISION_X1, SOFT_RESET | VFIO_RESET},
    /* V3 and V3_2 */
    {ZY_REVISION_X2_R0P2, ABORT | SOFT_RESET | VFIO_RESET},
    {ZY_REVISION_X2_R0P3, ABORT | SOFT_RESET | VFIO_RESET},
    {ZY_REVISION_X3P, ABORT | SOFT_RESET | VFIO_RESET},
    {ZY_REVISION_X3S, ABORT | SOFT_RESET | VFIO_RESET},
};

unsigned npu_ladder(uint32_t revision)
{
	for (size_t i = 0; i < sizeof(ladders) / sizeof(ladders[0]); i++)
		if (ladders[i].revision == revision)
			return ladders[i].rungs;
	return 0;
}
