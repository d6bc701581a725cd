/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an idle session sits next: on its device, or on one alike that is much less busy or still works. A move costs a
 * change of tenure and new mappings, so small differences move nobody, and nobody moves often.
 */
#ifndef NPUD_POLICY_PLACEMENT_H
#define NPUD_POLICY_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

/* Who came stays so long, unless the device goes away. */
#define PLACEMENT_STAY_NS 100000000ull
/* Above this part of the others' number, one more is a difference. */
#define PLACEMENT_MARGIN 4u

struct placement {
	bool usable; /* takes work and will go on doing so */
	bool alike; /* runs what is prepared for the session's device */
	uint32_t busy; /* sessions on it with work, this one not among them */
};

/* The index of the device: `here` to stay. */
uint32_t placement_choose(const struct placement *devices, uint32_t count, uint32_t here, uint64_t stayed_ns);

#endif
