/* SPDX-License-Identifier: Apache-2.0 */
/* The request why a submission is where it is: core's answer to protobuf. */
#include "daemon/core/why.h"
#include "daemon/wire/request.h"
#include "daemon/wire/server.h"

_Static_assert((int)WHY_WAITING == (int)NPUD__WHY_STATE__WHY_WAITING &&
		   (int)WHY_QUEUED == (int)NPUD__WHY_STATE__WHY_QUEUED &&
		   (int)WHY_RUNNING == (int)NPUD__WHY_STATE__WHY_RUNNING &&
		   (int)WHY_ENDED == (int)NPUD__WHY_STATE__WHY_ENDED,
	       "core counts states as the protocol does");
_Static_assert((int)WHY_ORDER == (int)NPUD__WHY_LIMIT__LIMIT_ORDER &&
		   (int)WHY_IN_FLIGHT == (int)NPUD__WHY_LIMIT__LIMIT_IN_FLIGHT &&
		   (int)WHY_TENURE == (int)NPUD__WHY_LIMIT__LIMIT_TENURE &&
		   (int)WHY_QUANTUM == (int)NPUD__WHY_LIMIT__LIMIT_QUANTUM &&
		   (int)WHY_TENANT_TIME == (int)NPUD__WHY_LIMIT__LIMIT_TENANT_TIME &&
		   (int)WHY_DEVICE_CHANGING == (int)NPUD__WHY_LIMIT__LIMIT_DEVICE_CHANGING &&
		   (int)WHY_DEVICE_RECOVERING == (int)NPUD__WHY_LIMIT__LIMIT_DEVICE_RECOVERING &&
		   (int)WHY_DEVICE_OFFLINE == (int)NPUD__WHY_LIMIT__LIMIT_DEVICE_OFFLINE,
	       "and limits");

static void fill_order(struct why_reply *to, const struct why *from)
{
	for (unsigned class = 0; class < SCHED_CLASSES; class ++)
		to->ahead[class] = from->order.ahead[class];
	to->why.position = from->order.position;
	to->why.ahead = to->ahead;
	to->why.n_ahead = SCHED_CLASSES;
	to->why.ahead_own = from->order.ahead_of_tenant;
	to->why.ahead_others = from->order.position - from->order.ahead_of_tenant;
	to->why.in_flight = from->in_flight;
	to->why.wait_ns = from->wait_ns;
	to->why.throttled_ns = from->order.throttled_ns;
	to->why.limits = to->limits;
	for (unsigned limit = WHY_ORDER; limit < WHY_LIMITS; limit++)
		if (from->limits >> limit & 1)
			to->limits[to->why.n_limits++] = (Npud__WhyLimit)limit;
}

static void fill(struct why_reply *to, const struct why *from)
{
	Npud__Why *why = &to->why;

	npud__why__init(why);
	why->session = from->session;
	why->submission = from->submission;
	why->job = from->job;
	why->queue = from->queue;
	if (from->state != WHY_ENDED)
		why->class_ = (Npud__QueueClass)((unsigned)from->class + 1);
	why->device = from->device;
	why->state = (Npud__WhyState)from->state;
	why->age_ns = from->age_ns;
	why->queue_ahead = from->queue_ahead;
	why->job_ahead = from->job_ahead;
	why->dependencies = from->dependencies;
	why->fences = from->fences;
	if (from->state == WHY_QUEUED)
		fill_order(to, from);
	why->device_ahead = from->device_ahead;
	why->running_ns = from->running_ns;
	why->budget_left_ns = from->budget_left_ns;
	why->outcome = (Npud__Outcome)from->outcome;
}

int handle_why_query(struct request *request)
{
	const Npud__WhyQuery *query = request->message->why_query;
	const struct session *session = request->conn->session;
	const struct viewer viewer = viewer_of(session);
	struct why why;

	int error = why_read(server_host(request->conn->server), &viewer, query->session ? query->session : session->id,
			     query->submission, &why, &request->fail);
	if (error < 0)
		return error;
	fill(&request->body.why, &why);
	request->reply.body_case = NPUD__REPLY__BODY_WHY;
	request->reply.why = &request->body.why.why;
	return 0;
}
