/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why an item waits: what would be served before it if nothing else came. Counted from the tags, not simulated: exact
 * where the items of each session take equally long. Of ageing it knows who is next by it; see sched_fair.h.
 */
#include <string.h>

#include "daemon/policy/sched_fair.h"

struct amount {
	uint32_t items;
	uint64_t ns;
};

static void add(struct amount *to, struct amount what)
{
	to->items += what.items;
	to->ns += what.ns;
}

/* What of the node's waiting items begins within so many nanoseconds of its own service. */
static struct amount begins_within(const struct sched_node *node, uint64_t ns)
{
	uint64_t mean = node->waiting ? node->waiting_ns / node->waiting : 0;
	uint64_t items = mean ? ns / mean + (ns % mean != 0) : node->waiting;

	if (items >= node->waiting)
		return (struct amount){node->waiting, node->waiting_ns};
	return (struct amount){(uint32_t)items, items * mean};
}

/* What of a sibling is served before the node, which comes after so much of its own work. */
static struct amount sibling_before(const struct sched_node *sibling, const struct sched_node *node, uint64_t own_ns)
{
	uint64_t tag = node->tag + own_ns / node->weight;

	if (sibling->tag == tag && own_ns == 0 && sibling->order < node->order)
		return begins_within(sibling, 1);
	if (sibling->tag >= tag)
		return (struct amount){0, 0};
	if (tag - sibling->tag > sibling->waiting_ns / sibling->weight)
		return (struct amount){sibling->waiting, sibling->waiting_ns};
	return begins_within(sibling, (tag - sibling->tag) * sibling->weight);
}

static struct amount siblings_before(const struct sched_node *node, uint64_t own_ns)
{
	struct amount sum = {0, 0};

	for (const struct heap_node *at = node->parent->children.first; at; at = heap_next(at)) {
		const struct sched_node *sibling = heap_entry(at, const struct sched_node, link);
		if (sibling != node)
			add(&sum, sibling_before(sibling, node, own_ns));
	}
	return sum;
}

/* Of other tenants. Who is next by its age has nobody before its first item, and goes before all the others. */
static struct amount tenants_before(const struct sched *sched, const struct fair_class *all,
				    const struct fair_share *own, struct amount of_own, uint64_t now_ns)
{
	const struct fair_share *aged = fair_age_due(sched, all, now_ns);

	if (aged == own && of_own.items == 0)
		return (struct amount){0, 0};
	struct amount sum = siblings_before(&own->node, of_own.ns);
	if (aged && aged != own && sibling_before(&aged->node, &own->node, of_own.ns).items == 0)
		add(&sum, begins_within(&aged->node, 1));
	return sum;
}

static struct amount before_in_queue(const struct sched_item *item)
{
	struct amount sum = {0, 0};

	for (const struct sched_item *other = item->own.prev; other; other = other->own.prev)
		add(&sum, (struct amount){1, sched_bounded(other->estimate_ns)});
	return sum;
}

/* Queues of the session that have a deadline before it. */
static struct amount urgent_before(const struct sched_item *item)
{
	const struct sched_queue *own = item->queue;
	struct amount sum = {0, 0};

	for (const struct heap_node *at = own->session->own.urgent[own->class].first; at; at = heap_next(at)) {
		const struct sched_queue *queue = heap_entry(at, const struct sched_queue, own.urgent);
		if (queue == own)
			continue;
		for (const struct sched_item *other = queue->own.first; other && other->deadline_ns;
		     other = other->own.next) {
			if (item->deadline_ns && other->deadline_ns >= item->deadline_ns)
				break;
			add(&sum, (struct amount){1, sched_bounded(other->estimate_ns)});
		}
	}
	return sum;
}

static struct amount before_in_session(const struct sched_item *item)
{
	struct amount sum = before_in_queue(item);

	add(&sum, urgent_before(item));
	/* A queue with a deadline has been counted; in its turn it would not come sooner than by that. */
	if (!item->deadline_ns && heap_empty(&item->queue->session->own.urgent[item->queue->class]))
		add(&sum, siblings_before(&item->queue->own.node, sum.ns));
	return sum;
}

/* Of better classes: all that is ready, as far as the item's class does not get its remainder first. */
static void better_classes(const struct fair_device *device, enum sched_class class, uint64_t own_ns,
			   struct sched_why *why)
{
	uint32_t remainder = device->classes.of[class].remainder;
	uint64_t limit = remainder ? own_ns / remainder * (SCHED_WHOLE - remainder) : UINT64_MAX;

	for (unsigned better = 0; better < class; better++) {
		const struct heap *tenants = &device->of[better].root.children;
		for (const struct heap_node *at = tenants->first; at; at = heap_next(at)) {
			const struct sched_node *node = heap_entry(at, const struct sched_node, link);
			struct amount before = begins_within(node, limit);
			why->ahead[better] += before.items;
			why->ahead_ns += before.ns;
			limit -= before.ns < limit ? before.ns : limit;
		}
	}
}

void fair_explain(struct sched *sched, const struct sched_item *item, uint64_t now_ns, struct sched_why *why)
{
	const struct sched_session *session = item->queue->session;
	const struct sched_place *place = fair_place(session);
	enum sched_class class = item->queue->class;

	memset(why, 0, sizeof(*why));
	if (item->own.state != SCHED_ITEM_QUEUED)
		return;
	why->throttled = fair_is_held(place);
	if (why->throttled && place->held_until_ns > now_ns)
		why->throttled_ns = place->held_until_ns - now_ns;
	struct amount sum = before_in_session(item);
	add(&sum, siblings_before(&session->own.nodes[class], sum.ns));
	why->ahead_of_tenant = sum.items;
	add(&sum, tenants_before(sched, &place->device->of[class], &place->of[class], sum, now_ns));
	why->ahead[class] = sum.items;
	why->ahead_ns = sum.ns;
	better_classes(place->device, class, sum.ns + sched_bounded(item->estimate_ns), why);
	for (int i = 0; i < SCHED_CLASSES; i++)
		why->position += why->ahead[i];
}
