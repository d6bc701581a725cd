/* SPDX-License-Identifier: Apache-2.0 */
/* What an item goes through, from the queue to its end, and what is charged for it; see sched_fair.h. */
#include "daemon/policy/sched_fair.h"

static uint64_t estimate_of(const struct sched_item *item)
{
	return sched_bounded(item->estimate_ns);
}

/*
 * What runs may take longer than estimated, and then its tenant has more than its turn. So that it gets no further
 * ahead by what follows in the hardware, a quarter more is counted until it ends.
 */
static uint64_t in_tree(uint64_t estimate_ns)
{
	return estimate_ns + estimate_ns / 4;
}

static void link_item(struct sched_queue *queue, struct sched_item *item)
{
	struct sched_item *after = queue->own.last;

	/* Nearly always the end; an older item comes back when a recovery re-queues it or its job became free. */
	while (after && after->arrival > item->arrival)
		after = after->own.prev;
	item->own.prev = after;
	item->own.next = after ? after->own.next : queue->own.first;
	*(item->own.next ? &item->own.next->own.prev : &queue->own.last) = item;
	*(after ? &after->own.next : &queue->own.first) = item;
}

static void unlink_item(struct sched_queue *queue, struct sched_item *item)
{
	*(item->own.next ? &item->own.next->own.prev : &queue->own.last) = item->own.prev;
	*(item->own.prev ? &item->own.prev->own.next : &queue->own.first) = item->own.next;
	item->own.prev = NULL;
	item->own.next = NULL;
}

static struct fair_device *device_of(const struct sched_item *item)
{
	return fair_place(item->queue->session)->device;
}

/* The bucket changed: the tenant may have used up its time, or not any more. */
static void hold(struct sched_place *place, uint64_t now_ns)
{
	uint64_t until = bucket_empty_until(&place->bucket);
	bool was = fair_is_held(place);

	heap_remove(&place->device->held, &place->held);
	place->held_until_ns = until;
	if (until)
		heap_insert(&place->device->held, &place->held);
	if (was == (until != 0))
		return;
	for (unsigned class = 0; class < SCHED_CLASSES; class ++) {
		node_hold(&place->of[class].node, until != 0);
		fair_update(place, (enum sched_class) class, now_ns);
	}
}

void fair_let_go(struct fair_device *device, uint64_t now_ns)
{
	while (!heap_empty(&device->held)) {
		struct sched_place *place = heap_entry(device->held.first, struct sched_place, held);
		if (place->held_until_ns > now_ns)
			return;
		bucket_return(&place->bucket, 0, now_ns);
		hold(place, now_ns);
	}
}

void fair_enqueue(struct sched *sched, struct sched_item *item, uint64_t now_ns)
{
	struct sched_queue *queue = item->queue;

	if (item->own.state == SCHED_ITEM_QUEUED)
		return;
	fair_head_leaves(queue);
	link_item(queue, item);
	fair_head_comes(queue);
	item->own.state = SCHED_ITEM_QUEUED;
	node_wait(&queue->own.node, 1, estimate_of(item), ++sched->order);
	fair_wait(sched, queue->session, queue->class, 1, estimate_of(item), now_ns);
	late_add(&device_of(item)->late, item, now_ns);
}

static void unqueue(struct sched_item *item)
{
	fair_head_leaves(item->queue);
	unlink_item(item->queue, item);
	fair_head_comes(item->queue);
	late_remove(&device_of(item)->late, item);
}

void fair_dispatched(struct sched *sched, struct sched_item *item, uint64_t now_ns)
{
	struct sched_queue *queue = item->queue;
	struct sched_place *place = fair_place(queue->session);
	enum sched_class class = queue->class;
	uint64_t ns = estimate_of(item);

	if (item->own.state != SCHED_ITEM_QUEUED)
		return;
	unqueue(item);
	item->own.state = SCHED_ITEM_RUNNING;
	item->own.charged_ns = ns;
	item->own.class = class;
	item->own.contended = classes_best(&place->device->classes) < class;
	fair_age_served(sched, &place->device->of[class], &place->of[class], ns, now_ns);
	node_start(&queue->own.node, ns, in_tree(ns), ++sched->order);
	node_start(&queue->session->own.nodes[class], ns, in_tree(ns), ++sched->order);
	node_start(&place->of[class].node, ns, in_tree(ns), ++sched->order);
	node_start(&place->device->of[class].root, ns, in_tree(ns), 0);
	classes_spend(&place->device->classes, class, item->own.contended, ns);
	bucket_take(&place->bucket, ns, now_ns);
	late_start(&place->device->late, item, now_ns);
	hold(place, now_ns);
	fair_update(place, class, now_ns);
}

/* What was charged becomes what was used. */
static void end(struct sched_item *item, uint64_t used_ns, uint64_t now_ns)
{
	struct sched_session *session = item->queue->session;
	struct sched_place *place = fair_place(session);
	enum sched_class class = item->own.class;
	uint64_t charged_ns = item->own.charged_ns;

	item->own.state = SCHED_ITEM_AWAY;
	late_end(&place->device->late, item, now_ns);
	node_end(&item->queue->own.node, in_tree(charged_ns), used_ns);
	node_end(&session->own.nodes[class], in_tree(charged_ns), used_ns);
	node_end(&place->of[class].node, in_tree(charged_ns), used_ns);
	node_end(&place->device->of[class].root, in_tree(charged_ns), used_ns);
	if (used_ns > charged_ns) {
		classes_spend(&place->device->classes, class, item->own.contended, used_ns - charged_ns);
		bucket_take(&place->bucket, used_ns - charged_ns, now_ns);
	} else {
		classes_return(&place->device->classes, class, item->own.contended, charged_ns - used_ns);
		bucket_return(&place->bucket, charged_ns - used_ns, now_ns);
	}
	hold(place, now_ns);
}

void fair_completed(struct sched *sched, struct sched_item *item, uint64_t device_ns, uint64_t now_ns)
{
	uint64_t used_ns = sched_bounded(device_ns);

	(void)sched;
	if (item->own.state != SCHED_ITEM_RUNNING)
		return;
	end(item, used_ns, now_ns);
	late_learn(item, used_ns);
	classes_elapse(&device_of(item)->classes, item->own.class, used_ns, now_ns);
}

void fair_remove(struct sched *sched, struct sched_item *item, uint64_t now_ns)
{
	struct sched_queue *queue = item->queue;

	(void)sched;
	if (item->own.state == SCHED_ITEM_RUNNING) {
		end(item, 0, now_ns);
	} else if (item->own.state == SCHED_ITEM_QUEUED) {
		unqueue(item);
		item->own.state = SCHED_ITEM_AWAY;
		node_leave(&queue->own.node, 1, estimate_of(item));
		fair_leave(queue->session, queue->class, 1, estimate_of(item), now_ns);
	}
}

void fair_charge(struct sched *sched, struct sched_session *session, enum sched_class class, uint64_t device_ns,
		 uint64_t now_ns)
{
	struct sched_place *place = fair_place(session);
	struct sched_classes *classes = &place->device->classes;
	uint64_t ns = sched_bounded(device_ns);

	(void)sched;
	node_charge(&session->own.nodes[class], ns);
	node_charge(&place->of[class].node, ns);
	node_charge(&place->device->of[class].root, ns);
	classes_spend(classes, class, classes_best(classes) < class, ns);
	classes_elapse(classes, class, ns, now_ns);
	bucket_take(&place->bucket, ns, now_ns);
	hold(place, now_ns);
}
