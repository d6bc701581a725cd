/* SPDX-License-Identifier: Apache-2.0 */
/* Items by their latest start; see sched_late.h. */
#include "daemon/policy/sched_late.h"

/* Of the mean error of an estimate, what nearly none exceeds: RFC 6298 has the same. */
#define SPREADS 4u

static struct sched_item *item_of(const struct heap_node *node)
{
	return heap_entry(node, struct sched_item, own.late);
}

static bool sooner(const struct heap_node *a, const struct heap_node *b)
{
	const struct sched_item *x = item_of(a), *y = item_of(b);

	return x->own.latest_ns != y->own.latest_ns ? x->own.latest_ns < y->own.latest_ns : x->arrival < y->arrival;
}

void late_init(struct sched_late *late)
{
	*late = (struct sched_late){0};
	heap_init(&late->waiting, sooner);
}

static uint64_t spare_of(const struct sched_item *item)
{
	return item->queue->own.spread_ns * SPREADS;
}

/* The latest start: earlier by what the estimate may be off, but a tight deadline is not given up for that. */
static uint64_t latest_start(const struct sched_item *item, uint64_t now_ns)
{
	uint64_t last = item->deadline_ns > item->estimate_ns ? item->deadline_ns - item->estimate_ns : 0;
	uint64_t slack = last > now_ns ? last - now_ns : 0;
	uint64_t spare = spare_of(item);

	return last - (spare < slack / 2 ? spare : slack / 2);
}

void late_add(struct sched_late *late, struct sched_item *item, uint64_t now_ns)
{
	if (!item->deadline_ns)
		return;
	item->own.latest_ns = latest_start(item, now_ns);
	heap_insert(&late->waiting, &item->own.late);
}

void late_remove(struct sched_late *late, struct sched_item *item)
{
	heap_remove(&late->waiting, &item->own.late);
}

void late_start(struct sched_late *late, struct sched_item *item, uint64_t now_ns)
{
	if (late->running_ns == 0 || late->free_ns < now_ns)
		late->free_ns = now_ns;
	item->own.running_ns = sched_bounded(item->estimate_ns) + spare_of(item);
	late->running_ns += item->own.running_ns;
	late->free_ns += item->own.running_ns;
}

void late_end(struct sched_late *late, struct sched_item *item, uint64_t now_ns)
{
	late->running_ns -= item->own.running_ns;
	late->free_ns = now_ns + late->running_ns;
}

void late_learn(struct sched_item *item, uint64_t used_ns)
{
	uint64_t estimate_ns = sched_bounded(item->estimate_ns);
	uint64_t off = used_ns > estimate_ns ? used_ns - estimate_ns : estimate_ns - used_ns;

	item->queue->own.spread_ns = (item->queue->own.spread_ns * 7 + off) / 8;
}

uint64_t late_free_at(const struct sched_late *late, uint64_t now_ns)
{
	return late->running_ns && late->free_ns > now_ns ? late->free_ns : now_ns;
}

uint64_t late_at(const struct sched_late *late, uint64_t now_ns)
{
	if (heap_empty(&late->waiting))
		return UINT64_MAX;
	uint64_t latest = item_of(late->waiting.first)->own.latest_ns;
	return latest < late_free_at(late, now_ns) ? now_ns : latest + 1;
}

struct sched_item *late_first(const struct sched_late *late, uint64_t now_ns)
{
	return now_ns >= late_at(late, now_ns) ? item_of(late->waiting.first) : NULL;
}
