/* SPDX-License-Identifier: Apache-2.0 */
/* How long a session keeps the device; see quantum.h. */
#include "daemon/policy/quantum.h"

void quantum_begin(struct quantum *quantum, uint64_t switch_ns, uint64_t now_ns)
{
	quantum->switch_ns = quantum->switch_ns ? (quantum->switch_ns * 3 + switch_ns) / 4 : switch_ns;
	uint64_t stay = quantum->switch_ns * QUANTUM_SWITCHES;
	quantum->stay_until_ns = now_ns + (stay < QUANTUM_LONGEST_NS ? stay : QUANTUM_LONGEST_NS);
}

/* What it needs is mapped, or can be without a switch. */
static bool shares_tenure(const struct sched_session *session, const struct sched_session *attached)
{
	return session == attached || (session->space && session->space == attached->space);
}

struct sched_item *quantum_pick(const struct quantum *quantum, const struct sched_ops *ops, struct sched *sched,
				uint32_t device, struct sched_session *attached, uint64_t now_ns)
{
	struct sched_item *next = ops->pick_next(sched, device, attached ? attached->id : 0, now_ns);

	if (!next || !attached || shares_tenure(next->queue->session, attached) ||
	    ops->free_at(sched, device, now_ns) >= quantum->stay_until_ns)
		return next;
	struct sched_item *own = ops->pick_of(sched, attached, now_ns);
	return own ? own : next;
}
