/* SPDX-License-Identifier: Apache-2.0 */
/* First come, first served, one queue per device. Keeps no accounts. */
#include <stdlib.h>
#include <string.h>

#include "daemon/policy/sched.h"

struct sched {
	uint32_t devices;
	struct sched_item queue[]; /* heads of circular lists */
};

static struct sched *fifo_create(uint32_t devices)
{
	struct sched *sched = calloc(1, sizeof(*sched) + devices * sizeof(sched->queue[0]));

	if (!sched)
		return NULL;
	sched->devices = devices;
	for (uint32_t i = 0; i < devices; i++) {
		sched->queue[i].prev = &sched->queue[i];
		sched->queue[i].next = &sched->queue[i];
	}
	return sched;
}

static void fifo_destroy(struct sched *sched)
{
	free(sched);
}

static void fifo_enqueue(struct sched *sched, struct sched_item *item, uint64_t now_ns)
{
	(void)now_ns;
	if (item->queued || item->device >= sched->devices)
		return;
	struct sched_item *head = &sched->queue[item->device];
	struct sched_item *after = head->prev;

	/* Nearly always the end; an older item comes back when a recovery re-queues it or its job became free. */
	while (after != head && after->arrival > item->arrival)
		after = after->prev;
	item->prev = after;
	item->next = after->next;
	after->next->prev = item;
	after->next = item;
	item->queued = true;
}

static struct sched_item *fifo_pick_next(struct sched *sched, uint32_t device, uint64_t attached, uint64_t now_ns)
{
	(void)attached;
	(void)now_ns;
	if (device >= sched->devices)
		return NULL;
	struct sched_item *head = &sched->queue[device];
	return head->next == head ? NULL : head->next;
}

static struct sched_item *fifo_pick_of(struct sched *sched, uint32_t device, uint64_t session, uint64_t now_ns)
{
	(void)now_ns;
	if (device >= sched->devices)
		return NULL;
	struct sched_item *head = &sched->queue[device];
	for (struct sched_item *item = head->next; item != head; item = item->next)
		if (item->session == session)
			return item;
	return NULL;
}

static void fifo_remove(struct sched *sched, struct sched_item *item)
{
	(void)sched;
	if (!item->queued)
		return;
	item->prev->next = item->next;
	item->next->prev = item->prev;
	item->prev = NULL;
	item->next = NULL;
	item->queued = false;
}

static void fifo_dispatched(struct sched *sched, struct sched_item *item, uint64_t now_ns)
{
	(void)now_ns;
	fifo_remove(sched, item);
}

static void fifo_completed(struct sched *sched, struct sched_item *item, uint64_t device_ns, uint64_t now_ns)
{
	(void)sched;
	(void)item;
	(void)device_ns;
	(void)now_ns;
}

static void fifo_remove_session(struct sched *sched, uint64_t session)
{
	(void)sched;
	(void)session;
}

const struct sched_ops sched_fifo = {
    .name = "fifo",
    .create = fifo_create,
    .destroy = fifo_destroy,
    .enqueue = fifo_enqueue,
    .pick_next = fifo_pick_next,
    .pick_of = fifo_pick_of,
    .dispatched = fifo_dispatched,
    .completed = fifo_completed,
    .remove = fifo_remove,
    .remove_session = fifo_remove_session,
};

const struct sched_ops *sched_by_name(const char *name)
{
	return strcmp(name, sched_fifo.name) == 0 ? &sched_fifo : NULL;
}
