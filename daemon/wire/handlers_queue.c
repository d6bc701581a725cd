/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about queues and fences: from protobuf to core and back. Checks nothing that core checks. */
#include <errno.h>

#include "daemon/core/fence.h"
#include "daemon/core/queue.h"
#include "daemon/wire/request.h"

_Static_assert((int)SCHED_REALTIME + 1 == (int)NPUD__QUEUE_CLASS__CLASS_REALTIME &&
		   (int)SCHED_HIGH + 1 == (int)NPUD__QUEUE_CLASS__CLASS_HIGH &&
		   (int)SCHED_NORMAL + 1 == (int)NPUD__QUEUE_CLASS__CLASS_NORMAL &&
		   (int)SCHED_IDLE + 1 == (int)NPUD__QUEUE_CLASS__CLASS_IDLE,
	       "policy counts classes as the protocol does, from 0");

_Static_assert((int)COMPLETION_PENDING + 1 == (int)NPUD__FENCE_STATE__FENCE_PENDING &&
		   (int)COMPLETION_DONE + 1 == (int)NPUD__FENCE_STATE__FENCE_DONE &&
		   (int)COMPLETION_FAILED + 1 == (int)NPUD__FENCE_STATE__FENCE_FAILED &&
		   (int)COMPLETION_GONE + 1 == (int)NPUD__FENCE_STATE__FENCE_OWNER_GONE,
	       "core counts the ends of a fence as the protocol does, from 0");

/* A class that the protocol does not know becomes one that core does not know. */
static struct queue_options to_options(Npud__QueueClass class, uint32_t weight)
{
	struct queue_options options = {.class = SCHED_NORMAL, .weight = weight};

	if (class != NPUD__QUEUE_CLASS__CLASS_UNSPECIFIED)
		options.class = (enum sched_class)((unsigned)class - 1);
	return options;
}

int handle_queue_create(struct request *request)
{
	const Npud__QueueCreate *create = request->message->queue_create;
	struct queue_options options = to_options(create->class_, create->weight);
	struct queue *queue;

	int error = queue_create(request->conn->session, &options, &queue, &request->fail);
	if (error < 0)
		return error;
	npud__queue_info__init(&request->body.queue_info);
	request->body.queue_info.queue = queue->handle;
	request->reply.body_case = NPUD__REPLY__BODY_QUEUE_INFO;
	request->reply.queue_info = &request->body.queue_info;
	return 0;
}

int handle_queue_change(struct request *request)
{
	const Npud__QueueChange *change = request->message->queue_change;
	struct queue_options options = to_options(change->class_, change->weight);
	struct queue *queue;

	int error = queue_find(request->conn->session, change->queue, &queue, &request->fail);
	if (error == 0)
		error = queue_change(queue, &options, &request->fail);
	return error < 0 ? error : reply_empty(request);
}

int handle_queue_destroy(struct request *request)
{
	struct queue *queue;

	int error = queue_find(request->conn->session, request->message->queue_destroy->queue, &queue, &request->fail);
	if (error == 0)
		error = queue_destroy(queue, &request->fail);
	return error < 0 ? error : reply_empty(request);
}

void fence_fill(const struct fence_hold *hold, Npud__FenceInfo *out)
{
	npud__fence_info__init(out);
	out->fence = hold->handle;
	out->state = (Npud__FenceState)((unsigned)hold->fence->completion.state + 1);
}

static int reply_fence(struct request *request, const struct fence_hold *hold)
{
	fence_fill(hold, &request->body.fence_info);
	request->reply.body_case = NPUD__REPLY__BODY_FENCE_INFO;
	request->reply.fence_info = &request->body.fence_info;
	return 0;
}

int handle_fence_import(struct request *request)
{
	const ProtobufCBinaryData *token = &request->message->fence_import->token;
	struct fence_hold *hold;

	int error = fence_import(request->conn->session, token->data, token->len, &hold, &request->fail);
	return error < 0 ? error : reply_fence(request, hold);
}

int handle_fence_query(struct request *request)
{
	struct fence_hold *hold;

	int error = fence_find(request->conn->session, request->message->fence_query->fence, &hold, &request->fail);
	return error < 0 ? error : reply_fence(request, hold);
}

int handle_fence_release(struct request *request)
{
	struct fence_hold *hold;

	int error = fence_find(request->conn->session, request->message->fence_release->fence, &hold, &request->fail);
	if (error < 0)
		return error;
	fence_release(hold);
	return reply_empty(request);
}
