/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is; see sched_fair.h. Changes nothing but which tenants have got time again. */
#include "daemon/policy/sched_fair.h"

/* Deadlines first; the others in turn. */
static struct sched_item *pick_in_session(const struct sched_session *session, enum sched_class class)
{
	const struct heap *urgent = &session->own.urgent[class];

	if (!heap_empty(urgent))
		return heap_entry(urgent->first, struct sched_queue, own.urgent)->own.first;
	struct sched_node *queue = node_first(&session->own.nodes[class]);
	return queue ? heap_entry(queue, struct sched_queue, own.node)->own.first : NULL;
}

/* Something of the class is ready. */
static struct sched_item *pick_in_class(const struct sched *sched, const struct fair_device *device,
					enum sched_class class, uint64_t now_ns)
{
	const struct fair_class *all = &device->of[class];
	const struct fair_share *aged = fair_age_due(sched, all, now_ns);
	const struct sched_node *tenant = aged ? &aged->node : node_first(&all->root);
	struct sched_node *node = node_first(tenant);

	return pick_in_session(heap_entry(node - class, struct sched_session, own.nodes), class);
}

struct sched_item *fair_pick_next(struct sched *sched, uint32_t device_index, uint64_t attached, uint64_t now_ns)
{
	(void)attached;
	if (device_index >= sched->devices)
		return NULL;
	struct fair_device *device = &sched->device[device_index];
	fair_let_go(device, now_ns);
	enum sched_class best = classes_best(&device->classes);
	if (best == SCHED_CLASSES)
		return NULL;
	for (unsigned class = best + 1; class < SCHED_CLASSES; class ++) {
		if (!classes_has_earned(&device->classes, class, 0))
			continue;
		struct sched_item *item = pick_in_class(sched, device, (enum sched_class) class, now_ns);
		if (classes_has_earned(&device->classes, (enum sched_class) class, sched_bounded(item->estimate_ns)))
			return item;
	}
	return pick_in_class(sched, device, best, now_ns);
}

struct sched_item *fair_pick_of(struct sched *sched, struct sched_session *session, uint64_t now_ns)
{
	struct sched_item *next = fair_pick_next(sched, session->device, session->id, now_ns);

	if (!next || next->queue->session == session)
		return next;
	if (fair_is_held(fair_place(session)))
		return NULL;
	for (unsigned class = 0; class <= next->queue->class; class ++)
		if (session->own.nodes[class].waiting)
			return pick_in_session(session, (enum sched_class) class);
	return NULL;
}

struct sched_item *fair_pick_late(struct sched *sched, uint32_t device, uint64_t now_ns)
{
	return device < sched->devices ? late_first(&sched->device[device].late, now_ns) : NULL;
}

uint64_t fair_free_at(struct sched *sched, uint32_t device, uint64_t now_ns)
{
	return device < sched->devices ? late_free_at(&sched->device[device].late, now_ns) : now_ns;
}

uint64_t fair_next_change(struct sched *sched, uint32_t device_index, uint64_t now_ns)
{
	if (device_index >= sched->devices)
		return UINT64_MAX;
	struct fair_device *device = &sched->device[device_index];
	fair_let_go(device, now_ns);
	uint64_t next = late_at(&device->late, now_ns);
	if (!heap_empty(&device->held)) {
		const struct sched_place *place = heap_entry(device->held.first, const struct sched_place, held);
		if (place->held_until_ns < next)
			next = place->held_until_ns;
	}
	return next > now_ns ? next : now_ns;
}
