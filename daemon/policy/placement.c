/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of a device for an idle session; see placement.h. */
#include "daemon/policy/placement.h"

/* The first of the least busy ones; `here` if there is none. */
static uint32_t least_busy(const struct placement *devices, uint32_t count, uint32_t here)
{
	uint32_t best = here;

	for (uint32_t i = 0; i < count; i++)
		if (i != here && devices[i].usable && devices[i].alike &&
		    (best == here || devices[i].busy < devices[best].busy))
			best = i;
	return best;
}

uint32_t placement_choose(const struct placement *devices, uint32_t count, uint32_t here, uint64_t stayed_ns)
{
	uint32_t there = least_busy(devices, count, here);
	uint32_t busy = devices[there].busy;

	if (!devices[here].usable)
		return there;
	/* With itself counted, the other one is no busier afterwards than this one is before, and here one fewer. */
	bool worth_it = devices[here].busy > busy + busy / PLACEMENT_MARGIN;
	return worth_it && stayed_ns >= PLACEMENT_STAY_NS ? there : here;
}
