/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a session keeps the device: while it has work, for several times what its switch took, so that at most a
 * ninth of the time goes into switching; not for ever, since the others wait. Work of a better class ends it at once.
 */
#ifndef NPUD_POLICY_QUANTUM_H
#define NPUD_POLICY_QUANTUM_H

#include <stdint.h>

#include "daemon/policy/sched.h"

#define QUANTUM_SWITCHES 8u
#define QUANTUM_LONGEST_NS 1000000000ull

struct quantum {
	uint64_t switch_ns; /* what a switch costs, smoothed */
	uint64_t stay_until_ns;
};

/* A tenure began after a switch of so long. */
void quantum_begin(struct quantum *quantum, uint64_t switch_ns, uint64_t now_ns);

/* What the device runs next: in the scheduler's order, or of the session that is attached (may be NULL). */
struct sched_item *quantum_pick(const struct quantum *quantum, const struct sched_ops *ops, struct sched *sched,
				uint32_t device, struct sched_session *attached, uint64_t now_ns);

#endif
