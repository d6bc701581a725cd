/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy "fair": classes in strict order with guaranteed remainders, in each of them start-time fair queueing of
 * measured device time, tenant → session → queue. This file opens, moves and closes what shares the time.
 */
#include "daemon/policy/sched_fair.h"

#include <errno.h>
#include <stdlib.h>

/* ------------------------------------------------------------------ orders of the heaps */

static bool more_urgent(const struct heap_node *a, const struct heap_node *b)
{
	const struct sched_item *x = heap_entry(a, const struct sched_queue, own.urgent)->own.first;
	const struct sched_item *y = heap_entry(b, const struct sched_queue, own.urgent)->own.first;

	return x->deadline_ns != y->deadline_ns ? x->deadline_ns < y->deadline_ns : x->arrival < y->arrival;
}

static bool free_sooner(const struct heap_node *a, const struct heap_node *b)
{
	const struct sched_place *x = heap_entry(a, const struct sched_place, held);
	const struct sched_place *y = heap_entry(b, const struct sched_place, held);

	return x->held_until_ns < y->held_until_ns;
}

/* ------------------------------------------------------------------ create and open */

static struct sched *fair_create(const struct sched_params *params)
{
	struct sched *sched = calloc(1, sizeof(*sched) + params->devices * sizeof(sched->device[0]));

	if (!sched)
		return NULL;
	sched->ageing_ns = params->ageing_ns;
	sched->devices = params->devices;
	for (uint32_t i = 0; i < params->devices; i++) {
		struct fair_device *device = &sched->device[i];
		classes_init(&device->classes, params->remainder);
		late_init(&device->late);
		heap_init(&device->held, free_sooner);
		for (int class = 0; class < SCHED_CLASSES; class ++) {
			node_init(&device->of[class].root, NULL, 1);
			list_init(&device->of[class].waiting);
		}
	}
	return sched;
}

static void fair_destroy(struct sched *sched)
{
	free(sched);
}

static int fair_tenant_open(struct sched *sched, struct sched_tenant *tenant)
{
	struct sched_place *places = calloc(sched->devices, sizeof(*places));

	if (!places)
		return -ENOMEM;
	for (uint32_t i = 0; i < sched->devices; i++) {
		places[i].device = &sched->device[i];
		bucket_init(&places[i].bucket, tenant->time_permille);
		for (int class = 0; class < SCHED_CLASSES; class ++) {
			node_init(&places[i].of[class].node, &sched->device[i].of[class].root, tenant->weight);
			list_init(&places[i].of[class].waiting);
		}
	}
	tenant->own.places = places;
	return 0;
}

static void fair_tenant_close(struct sched *sched, struct sched_tenant *tenant)
{
	for (uint32_t i = 0; i < sched->devices; i++)
		heap_remove(&sched->device[i].held, &tenant->own.places[i].held);
	free(tenant->own.places);
	tenant->own.places = NULL;
}

static bool fair_tenant_owes(struct sched *sched, const struct sched_tenant *tenant, uint64_t now_ns)
{
	for (uint32_t i = 0; i < sched->devices; i++) {
		struct sched_place *place = &tenant->own.places[i];
		bucket_return(&place->bucket, 0, now_ns);
		if (!bucket_is_full(&place->bucket))
			return true;
		for (int class = 0; class < SCHED_CLASSES; class ++)
			if (node_owes(&place->of[class].node))
				return true;
	}
	return false;
}

static void fair_session_open(struct sched *sched, struct sched_session *session)
{
	(void)sched;
	for (int class = 0; class < SCHED_CLASSES; class ++) {
		node_init(&session->own.nodes[class], &fair_place(session)->of[class].node, session->weight);
		heap_init(&session->own.urgent[class], more_urgent);
	}
}

static void fair_session_close(struct sched *sched, struct sched_session *session)
{
	/* Nothing of it waits: the tree holds no pointer to it. */
	(void)sched;
	(void)session;
}

static void fair_session_move(struct sched *sched, struct sched_session *session, uint32_t device)
{
	(void)sched;
	session->device = device;
	for (int class = 0; class < SCHED_CLASSES; class ++)
		node_move(&session->own.nodes[class], &fair_place(session)->of[class].node);
}

static void fair_queue_open(struct sched *sched, struct sched_queue *queue)
{
	(void)sched;
	queue->own.first = NULL;
	queue->own.last = NULL;
	queue->own.spread_ns = 0;
	queue->own.urgent = (struct heap_node){0};
	node_init(&queue->own.node, &queue->session->own.nodes[queue->class], queue->weight);
}

static void fair_queue_close(struct sched *sched, struct sched_queue *queue)
{
	(void)sched;
	(void)queue;
}

/* ------------------------------------------------------------------ what waits */

void fair_head_leaves(struct sched_queue *queue)
{
	heap_remove(&queue->session->own.urgent[queue->class], &queue->own.urgent);
}

void fair_head_comes(struct sched_queue *queue)
{
	if (queue->own.first && queue->own.first->deadline_ns)
		heap_insert(&queue->session->own.urgent[queue->class], &queue->own.urgent);
}

void fair_update(struct sched_place *place, enum sched_class class, uint64_t now_ns)
{
	struct fair_class *all = &place->device->of[class];
	struct fair_share *share = &place->of[class];

	if (node_is_ready(&share->node))
		fair_age_begin(all, share, now_ns);
	else
		fair_age_end(all, share);
	classes_set_ready(&place->device->classes, class, node_first(&all->root) != NULL, now_ns);
}

void fair_wait(struct sched *sched, struct sched_session *session, enum sched_class class, uint32_t items, uint64_t ns,
	       uint64_t now_ns)
{
	struct sched_place *place = fair_place(session);

	node_wait(&session->own.nodes[class], items, ns, ++sched->order);
	node_wait(&place->of[class].node, items, ns, ++sched->order);
	node_wait(&place->device->of[class].root, items, ns, 0);
	fair_update(place, class, now_ns);
}

void fair_leave(struct sched_session *session, enum sched_class class, uint32_t items, uint64_t ns, uint64_t now_ns)
{
	struct sched_place *place = fair_place(session);

	node_leave(&session->own.nodes[class], items, ns);
	node_leave(&place->of[class].node, items, ns);
	node_leave(&place->device->of[class].root, items, ns);
	fair_update(place, class, now_ns);
}

/* What is on the device stays in the books of the class that it was dispatched in. */
static void fair_queue_change(struct sched *sched, struct sched_queue *queue, enum sched_class class, uint32_t weight,
			      uint64_t now_ns)
{
	struct sched_session *session = queue->session;
	struct sched_node *node = &queue->own.node;
	uint32_t items = node->waiting;
	uint64_t ns = node->waiting_ns;

	fair_head_leaves(queue);
	if (items) {
		node_leave(node, items, ns);
		fair_leave(session, queue->class, items, ns, now_ns);
	}
	node_set_weight(node, weight);
	if (class != queue->class)
		node_move(node, &session->own.nodes[class]);
	queue->class = class;
	queue->weight = weight;
	if (items) {
		node_wait(node, items, ns, ++sched->order);
		fair_wait(sched, session, class, items, ns, now_ns);
	}
	fair_head_comes(queue);
}

const struct sched_ops sched_fair = {
    .name = "fair",
    .create = fair_create,
    .destroy = fair_destroy,
    .tenant_open = fair_tenant_open,
    .tenant_close = fair_tenant_close,
    .tenant_owes = fair_tenant_owes,
    .session_open = fair_session_open,
    .session_close = fair_session_close,
    .session_move = fair_session_move,
    .queue_open = fair_queue_open,
    .queue_close = fair_queue_close,
    .queue_change = fair_queue_change,
    .enqueue = fair_enqueue,
    .pick_next = fair_pick_next,
    .pick_of = fair_pick_of,
    .pick_late = fair_pick_late,
    .free_at = fair_free_at,
    .next_change = fair_next_change,
    .dispatched = fair_dispatched,
    .completed = fair_completed,
    .remove = fair_remove,
    .charge = fair_charge,
    .explain = fair_explain,
};
