/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Submissions: a table of as many slots as the daemon grants credits, made once. A ticket is a slot's index and how
 * often it has been used, so a stale one is recognised. Nothing here allocates or blocks.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "libclient/objects.h"

#define SLOT_BITS 16

struct npu_slot *npu_slot_of(struct npu_connection *connection, uint64_t ticket)
{
	uint64_t index = ticket & ((1u << SLOT_BITS) - 1);

	if (ticket == 0 || index >= connection->credits || connection->slots[index].ticket != ticket)
		return NULL;
	return &connection->slots[index];
}

struct npu_slot *npu_slot_take(struct npu_connection *connection)
{
	uint32_t index = connection->free_slot;

	if (index == NPU_NO_SLOT)
		return NULL;
	struct npu_slot *slot = &connection->slots[index];

	connection->free_slot = slot->next;
	connection->used_slots++;
	slot->generation++;
	if (slot->generation == 0)
		slot->generation = 1;
	slot->ticket = (uint64_t)slot->generation << SLOT_BITS | index;
	/* upper half of the serials; the reply of an earlier use does not match */
	slot->serial = 0x80000000u | (slot->generation & 0x3fffffu) << 9 | index;
	slot->answered = slot->done = false;
	slot->refusal = 0;
	slot->submission = 0;
	slot->callback = NULL;
	/* the message buffer need not be cleared as a whole */
	slot->result.message[0] = '\0';
	slot->result.started = false;
	return slot;
}

void npu_slot_release(struct npu_connection *connection, struct npu_slot *slot)
{
	if (slot->done && slot->report == connection->report && connection->unreported)
		connection->unreported--;
	slot->ticket = 0;
	slot->job = NULL;
	slot->next = connection->free_slot;
	connection->free_slot = (uint32_t)(slot - connection->slots);
	connection->used_slots--;
}

void npu_attention_raise(struct npu_connection *connection)
{
	if (connection->attention_fd < 0 || connection->attention)
		return;
	if (connection->unreported == 0 && connection->callback_head == NPU_NO_SLOT && connection->print_count == 0 &&
	    !connection->broken)
		return;
	connection->attention = eventfd_write(connection->attention_fd, 1) == 0;
}

void npu_slot_complete(struct npu_connection *connection, struct npu_slot *slot)
{
	uint32_t index = (uint32_t)(slot - connection->slots);

	slot->done = true;
	slot->report = connection->report;
	connection->unreported++;
	if (!slot->callback) {
		slot->job->in_flight--;
		return;
	}
	slot->next = NPU_NO_SLOT;
	if (connection->callback_head == NPU_NO_SLOT)
		connection->callback_head = index;
	else
		connection->slots[connection->callback_tail].next = index;
	connection->callback_tail = index;
}

/* With the lock held, which is dropped around the callback. */
static void deliver_print(struct npu_connection *connection)
{
	/* on this thread's stack, because the place in the queue is free again from here on */
	struct npu_print print = connection->prints[connection->print_head];
	npu_print_fn callback = connection->print;
	void *user = connection->print_user;

	connection->print_head = (connection->print_head + 1) % NPU_PRINT_QUEUE;
	connection->print_count--;
	if (!callback)
		return;
	(void)pthread_mutex_unlock(&connection->lock);
	callback(print.job, print.group, print.task, print.text, user);
	(void)pthread_mutex_lock(&connection->lock);
}

static void deliver_done(struct npu_connection *connection)
{
	struct npu_slot *slot = &connection->slots[connection->callback_head];
	uint64_t ticket = slot->ticket;
	struct npu_job *job = slot->job;

	connection->callback_head = slot->next;
	/* from here on the callback may free the job */
	job->in_flight--;
	(void)pthread_mutex_unlock(&connection->lock);
	slot->callback(job, ticket, &slot->result, slot->user);
	(void)pthread_mutex_lock(&connection->lock);
	npu_slot_release(connection, slot);
	if (connection->waiting)
		(void)pthread_cond_broadcast(&connection->changed);
}

void npu_tickets_deliver(struct npu_connection *connection)
{
	/* a callback that always submits again must not keep this thread for ever */
	uint32_t most = connection->credits + NPU_PRINT_QUEUE;

	(void)pthread_mutex_lock(&connection->lock);
	for (uint32_t i = 0; i < most; i++) {
		if (connection->print_count)
			deliver_print(connection);
		else if (connection->callback_head != NPU_NO_SLOT)
			deliver_done(connection);
		else
			break;
	}
	npu_attention_raise(connection);
	(void)pthread_mutex_unlock(&connection->lock);
}
