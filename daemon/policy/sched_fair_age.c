/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ageing: small weights wait, but not for ever. Only a tenant that weighs less than the mean of those that wait is
 * served ahead of its turn, and no sooner than if all of them weighed the same: between the others nothing changes, so
 * none of them is further ahead or behind than the fair order has it.
 */
#include "daemon/policy/sched_fair.h"

void fair_age_begin(struct fair_class *all, struct fair_share *share, uint64_t now_ns)
{
	if (!list_empty(&share->waiting))
		return;
	share->since_ns = now_ns;
	share->since_tag = all->root.virtual_now;
	list_append(&all->waiting, &share->waiting);
	all->waiting_count++;
	all->waiting_weight += share->node.weight;
}

void fair_age_end(struct fair_class *all, struct fair_share *share)
{
	if (list_empty(&share->waiting))
		return;
	list_remove(&share->waiting);
	all->waiting_count--;
	all->waiting_weight -= share->node.weight;
}

/*
 * Who weighs no less than the mean is served in turn within one round: it may be the oldest, but not for long. An item
 * of t ns brings a tenant t / weight nearer to its next turn: by the mean weight, that is when the turn would have
 * come.
 */
struct fair_share *fair_age_due(const struct sched *sched, const struct fair_class *all, uint64_t now_ns)
{
	struct list *first = list_first(&all->waiting);

	if (!sched->ageing_ns || all->by_age || !first)
		return NULL;
	struct fair_share *oldest = list_entry(first, struct fair_share, waiting);
	uint64_t mean = all->waiting_weight / all->waiting_count;
	bool waited = now_ns >= oldest->since_ns && now_ns - oldest->since_ns >= sched->ageing_ns;
	bool passed = node_first(&all->root)->tag >= oldest->since_tag + oldest->last_ns / mean;
	return waited && passed && oldest->node.weight < mean ? oldest : NULL;
}

void fair_age_served(const struct sched *sched, struct fair_class *all, struct fair_share *share, uint64_t ns,
		     uint64_t now_ns)
{
	all->by_age = !node_is_first(&share->node) && fair_age_due(sched, all, now_ns) == share;
	/* It owes for this item alone: else it would go on owing when weights did not make it wait any more. */
	if (all->by_age)
		node_call(&share->node);
	share->last_ns = ns;
	fair_age_end(all, share);
}
