/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the items that wait can no longer meet its deadline: a heap by the latest start of each. */
#ifndef NPUD_POLICY_SCHED_LATE_H
#define NPUD_POLICY_SCHED_LATE_H

#include "daemon/policy/sched.h"

void late_init(struct heap *heap);
/* Nothing to do for an item without a deadline. */
void late_add(struct heap *heap, struct sched_item *item);
void late_remove(struct heap *heap, struct sched_item *item);
/* One that is late now, NULL if none is. */
struct sched_item *late_first(const struct heap *heap, uint64_t now_ns);
/* When the next of them is; UINT64_MAX: never. */
uint64_t late_at(const struct heap *heap);

#endif
