/* SPDX-License-Identifier: Apache-2.0 */
/* Queues of this session: names that the daemon gave out. Their order is the daemon's affair. */
#include <errno.h>
#include <stdlib.h>

#include "libclient/error.h"
#include "libclient/objects.h"

_Static_assert((int)NPU_CLASS_REALTIME == (int)NPUD__QUEUE_CLASS__CLASS_REALTIME &&
		   (int)NPU_CLASS_HIGH == (int)NPUD__QUEUE_CLASS__CLASS_HIGH &&
		   (int)NPU_CLASS_NORMAL == (int)NPUD__QUEUE_CLASS__CLASS_NORMAL &&
		   (int)NPU_CLASS_IDLE == (int)NPUD__QUEUE_CLASS__CLASS_IDLE,
	       "classes are counted as the protocol does");

static int ask_create(struct npu_connection *connection, enum npu_class class_of, uint32_t weight, uint64_t *handle)
{
	Npud__QueueCreate create = NPUD__QUEUE_CREATE__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;

	create.class_ = (Npud__QueueClass)class_of;
	create.weight = weight;
	request.body_case = NPUD__REQUEST__BODY_QUEUE_CREATE;
	request.queue_create = &create;
	int rc = npu_link_call(connection, &request, -1, NPUD__REPLY__BODY_QUEUE_INFO, &reply, "queue");

	*handle = reply.queue;
	return rc;
}

int npu_queue_create(struct npu_connection *connection, enum npu_class class_of, uint32_t weight,
		     struct npu_queue **out)
{
	int rc = npu_link_check_minor(connection, NPU_QUEUES_MINOR, "queue");

	if (rc)
		return rc;
	struct npu_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return npu_fail(-ENOMEM, "queue: out of memory");
	queue->connection = connection;
	rc = ask_create(connection, class_of, weight, &queue->handle);
	if (rc) {
		free(queue);
		return rc;
	}
	(void)pthread_mutex_lock(&connection->lock);
	queue->next = connection->queues;
	connection->queues = queue;
	(void)pthread_mutex_unlock(&connection->lock);
	*out = queue;
	return 0;
}

int npu_queue_change(struct npu_queue *queue, enum npu_class class_of, uint32_t weight)
{
	Npud__QueueChange change = NPUD__QUEUE_CHANGE__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;
	int rc = npu_link_check(queue->connection);

	if (rc)
		return rc;
	change.queue = queue->handle;
	change.class_ = (Npud__QueueClass)class_of;
	change.weight = weight;
	request.body_case = NPUD__REQUEST__BODY_QUEUE_CHANGE;
	request.queue_change = &change;
	return npu_link_call(queue->connection, &request, -1, NPUD__REPLY__BODY_EMPTY, &reply, "queue");
}

void npu_queue_drop(struct npu_queue *queue)
{
	struct npu_connection *connection = queue->connection;

	(void)pthread_mutex_lock(&connection->lock);
	for (struct npu_queue **link = &connection->queues; *link; link = &(*link)->next) {
		if (*link == queue) {
			*link = queue->next;
			break;
		}
	}
	(void)pthread_mutex_unlock(&connection->lock);
	free(queue);
}

int npu_queue_free(struct npu_queue *queue)
{
	Npud__QueueDestroy destroy = NPUD__QUEUE_DESTROY__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;

	if (!queue)
		return 0;
	int rc = npu_link_check(queue->connection);

	if (rc)
		return rc;
	destroy.queue = queue->handle;
	request.body_case = NPUD__REQUEST__BODY_QUEUE_DESTROY;
	request.queue_destroy = &destroy;
	rc = npu_link_call(queue->connection, &request, -1, NPUD__REPLY__BODY_EMPTY, &reply, "queue");
	/* without a daemon there is no queue either */
	if (rc && !queue->connection->broken)
		return rc;
	npu_queue_drop(queue);
	return 0;
}
