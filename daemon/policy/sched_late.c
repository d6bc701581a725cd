/* SPDX-License-Identifier: Apache-2.0 */
/* Items by their latest start; see sched_late.h. */
#include "daemon/policy/sched_late.h"

static struct sched_item *item_of(const struct heap_node *node)
{
	return heap_entry(node, struct sched_item, own.late);
}

static uint64_t latest_start(const struct sched_item *item)
{
	return item->deadline_ns > item->estimate_ns ? item->deadline_ns - item->estimate_ns : 0;
}

static bool sooner(const struct heap_node *a, const struct heap_node *b)
{
	const struct sched_item *x = item_of(a), *y = item_of(b);
	uint64_t latest_x = latest_start(x), latest_y = latest_start(y);

	return latest_x != latest_y ? latest_x < latest_y : x->arrival < y->arrival;
}

void late_init(struct heap *heap)
{
	heap_init(heap, sooner);
}

void late_add(struct heap *heap, struct sched_item *item)
{
	if (item->deadline_ns)
		heap_insert(heap, &item->own.late);
}

void late_remove(struct heap *heap, struct sched_item *item)
{
	heap_remove(heap, &item->own.late);
}

uint64_t late_at(const struct heap *heap)
{
	return heap_empty(heap) ? UINT64_MAX : latest_start(item_of(heap->first)) + 1;
}

struct sched_item *late_first(const struct heap *heap, uint64_t now_ns)
{
	return now_ns >= late_at(heap) ? item_of(heap->first) : NULL;
}
