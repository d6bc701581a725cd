/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a device's items that wait can no longer meet its deadline: a heap by the latest start of each. What runs
 * ends first, and neither takes exactly what it is estimated to take: how far estimates of a queue are off is measured,
 * and room is left for that, though not for more than half of the time that an item has beside its own.
 */
#ifndef NPUD_POLICY_SCHED_LATE_H
#define NPUD_POLICY_SCHED_LATE_H

#include "daemon/policy/sched.h"

/* No item counts for more than 52 days: sums and products stay inside 64 bits. */
#define SCHED_LONGEST_NS (1ull << 52)

static inline uint64_t sched_bounded(uint64_t ns)
{
	return ns < SCHED_LONGEST_NS ? ns : SCHED_LONGEST_NS;
}

struct sched_late {
	struct heap waiting;
	uint64_t running_ns; /* that what runs takes at most, from the start of each */
	uint64_t free_ns; /* when it has ended */
};

void late_init(struct sched_late *late);
/* Nothing to do for an item without a deadline. */
void late_add(struct sched_late *late, struct sched_item *item, uint64_t now_ns);
void late_remove(struct sched_late *late, struct sched_item *item);
/* It runs; it ended after so much device time; or it is taken back. */
void late_start(struct sched_late *late, struct sched_item *item, uint64_t now_ns);
void late_end(struct sched_late *late, struct sched_item *item, uint64_t now_ns);
void late_learn(struct sched_item *item, uint64_t used_ns);
/* When what runs has ended, as far as that is known. */
uint64_t late_free_at(const struct sched_late *late, uint64_t now_ns);
/* One that is late now, NULL if none is. */
struct sched_item *late_first(const struct sched_late *late, uint64_t now_ns);
/* When the next of them is, if nothing else happens; UINT64_MAX: never. */
uint64_t late_at(const struct sched_late *late, uint64_t now_ns);

#endif
