/* SPDX-License-Identifier: Apache-2.0 */
/* First come, first served, one queue per device. Keeps no accounts: the baseline that others are compared with. */
#include <stdlib.h>
#include <string.h>

#include "daemon/policy/sched_late.h"

struct fifo_device {
	struct sched_item queue; /* head of a circular list */
	struct sched_late late;
};

struct sched {
	uint32_t devices;
	struct fifo_device device[];
};

static struct sched *fifo_create(const struct sched_params *params)
{
	struct sched *sched = calloc(1, sizeof(*sched) + params->devices * sizeof(sched->device[0]));

	if (!sched)
		return NULL;
	sched->devices = params->devices;
	for (uint32_t i = 0; i < params->devices; i++) {
		struct sched_item *head = &sched->device[i].queue;
		head->own.prev = head;
		head->own.next = head;
		late_init(&sched->device[i].late);
	}
	return sched;
}

static void fifo_destroy(struct sched *sched)
{
	free(sched);
}

static int fifo_tenant_open(struct sched *sched, struct sched_tenant *tenant)
{
	(void)sched;
	(void)tenant;
	return 0;
}

static void fifo_tenant_close(struct sched *sched, struct sched_tenant *tenant)
{
	(void)sched;
	(void)tenant;
}

static bool fifo_tenant_owes(struct sched *sched, const struct sched_tenant *tenant, uint64_t now_ns)
{
	(void)sched;
	(void)tenant;
	(void)now_ns;
	return false;
}

static void fifo_session(struct sched *sched, struct sched_session *session)
{
	(void)sched;
	(void)session;
}

static void fifo_session_move(struct sched *sched, struct sched_session *session, uint32_t device)
{
	(void)sched;
	session->device = device;
}

static void fifo_queue_open(struct sched *sched, struct sched_queue *queue)
{
	(void)sched;
	queue->own.spread_ns = 0;
}

static void fifo_queue_close(struct sched *sched, struct sched_queue *queue)
{
	(void)sched;
	(void)queue;
}

static void fifo_queue_change(struct sched *sched, struct sched_queue *queue, enum sched_class class, uint32_t weight,
			      uint64_t now_ns)
{
	(void)sched;
	(void)now_ns;
	queue->class = class;
	queue->weight = weight;
}

static void fifo_enqueue(struct sched *sched, struct sched_item *item, uint64_t now_ns)
{
	uint32_t device = item->queue->session->device;

	(void)now_ns;
	if (item->own.state == SCHED_ITEM_QUEUED || device >= sched->devices)
		return;
	struct sched_item *head = &sched->device[device].queue;
	struct sched_item *after = head->own.prev;

	/* Nearly always the end; an older item comes back when a recovery re-queues it or its job became free. */
	while (after != head && after->arrival > item->arrival)
		after = after->own.prev;
	item->own.prev = after;
	item->own.next = after->own.next;
	after->own.next->own.prev = item;
	after->own.next = item;
	item->own.state = SCHED_ITEM_QUEUED;
	late_add(&sched->device[device].late, item, now_ns);
}

static struct sched_item *fifo_pick_next(struct sched *sched, uint32_t device, uint64_t attached, uint64_t now_ns)
{
	(void)attached;
	(void)now_ns;
	if (device >= sched->devices)
		return NULL;
	struct sched_item *head = &sched->device[device].queue;
	return head->own.next == head ? NULL : head->own.next;
}

static struct sched_item *fifo_pick_of(struct sched *sched, struct sched_session *session, uint64_t now_ns)
{
	(void)now_ns;
	if (session->device >= sched->devices)
		return NULL;
	struct sched_item *head = &sched->device[session->device].queue;
	for (struct sched_item *item = head->own.next; item != head; item = item->own.next)
		if (item->queue->session == session)
			return item;
	return NULL;
}

static struct sched_item *fifo_pick_late(struct sched *sched, uint32_t device, uint64_t now_ns)
{
	return device < sched->devices ? late_first(&sched->device[device].late, now_ns) : NULL;
}

static uint64_t fifo_free_at(struct sched *sched, uint32_t device, uint64_t now_ns)
{
	return device < sched->devices ? late_free_at(&sched->device[device].late, now_ns) : now_ns;
}

static uint64_t fifo_next_change(struct sched *sched, uint32_t device, uint64_t now_ns)
{
	uint64_t next = device < sched->devices ? late_at(&sched->device[device].late, now_ns) : UINT64_MAX;

	return next > now_ns ? next : now_ns;
}

static void unlink_item(struct sched_item *item)
{
	item->own.prev->own.next = item->own.next;
	item->own.next->own.prev = item->own.prev;
	item->own.prev = NULL;
	item->own.next = NULL;
}

static struct sched_late *late_of(struct sched *sched, const struct sched_item *item)
{
	return &sched->device[item->queue->session->device].late;
}

static void fifo_remove(struct sched *sched, struct sched_item *item, uint64_t now_ns)
{
	if (item->own.state == SCHED_ITEM_QUEUED) {
		unlink_item(item);
		late_remove(late_of(sched, item), item);
	} else if (item->own.state == SCHED_ITEM_RUNNING) {
		late_end(late_of(sched, item), item, now_ns);
	}
	item->own.state = SCHED_ITEM_AWAY;
}

static void fifo_dispatched(struct sched *sched, struct sched_item *item, uint64_t now_ns)
{
	fifo_remove(sched, item, now_ns);
	late_start(late_of(sched, item), item, now_ns);
	item->own.state = SCHED_ITEM_RUNNING;
}

static void fifo_completed(struct sched *sched, struct sched_item *item, uint64_t device_ns, uint64_t now_ns)
{
	if (item->own.state == SCHED_ITEM_RUNNING)
		late_learn(item, sched_bounded(device_ns));
	fifo_remove(sched, item, now_ns);
}

static void fifo_charge(struct sched *sched, struct sched_session *session, enum sched_class class, uint64_t device_ns,
			uint64_t now_ns)
{
	(void)sched;
	(void)session;
	(void)class;
	(void)device_ns;
	(void)now_ns;
}

static void fifo_explain(struct sched *sched, const struct sched_item *item, uint64_t now_ns, struct sched_why *why)
{
	const struct sched_session *session = item->queue->session;

	(void)now_ns;
	memset(why, 0, sizeof(*why));
	if (item->own.state != SCHED_ITEM_QUEUED)
		return;
	const struct sched_item *head = &sched->device[session->device].queue;
	for (const struct sched_item *other = head->own.next; other != item; other = other->own.next) {
		why->position++;
		why->ahead[other->queue->class]++;
		why->ahead_of_tenant += other->queue->session->tenant == session->tenant;
		why->ahead_ns += other->estimate_ns;
	}
}

const struct sched_ops sched_fifo = {
    .name = "fifo",
    .create = fifo_create,
    .destroy = fifo_destroy,
    .tenant_open = fifo_tenant_open,
    .tenant_close = fifo_tenant_close,
    .tenant_owes = fifo_tenant_owes,
    .session_open = fifo_session,
    .session_close = fifo_session,
    .session_move = fifo_session_move,
    .queue_open = fifo_queue_open,
    .queue_close = fifo_queue_close,
    .queue_change = fifo_queue_change,
    .enqueue = fifo_enqueue,
    .pick_next = fifo_pick_next,
    .pick_of = fifo_pick_of,
    .pick_late = fifo_pick_late,
    .free_at = fifo_free_at,
    .next_change = fifo_next_change,
    .dispatched = fifo_dispatched,
    .completed = fifo_completed,
    .remove = fifo_remove,
    .charge = fifo_charge,
    .explain = fifo_explain,
};
