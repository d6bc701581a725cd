/* SPDX-License-Identifier: Apache-2.0 */
/* Why a submission is where it is: one question, one answer. */
#include <errno.h>

#include "libclient/error.h"
#include "libclient/objects.h"

_Static_assert((int)NPU_WHY_ENDED == (int)NPUD__WHY_STATE__WHY_ENDED &&
		   (int)NPU_LIMIT_DEVICE_OFFLINE == (int)NPUD__WHY_LIMIT__LIMIT_DEVICE_OFFLINE,
	       "states and limits are counted as the protocol does");

void npu_why_copy(struct npu_why *to, const Npud__Why *from)
{
	*to = (struct npu_why){
	    .session = from->session,
	    .submission = from->submission,
	    .job = from->job,
	    .queue = from->queue,
	    .class_of = (enum npu_class)from->class_,
	    .device = from->device,
	    .state = (enum npu_why_state)from->state,
	    .age_ns = from->age_ns,
	    .queue_ahead = from->queue_ahead,
	    .job_ahead = from->job_ahead,
	    .dependencies = from->dependencies,
	    .fences = from->fences,
	    .position = from->position,
	    .ahead_own = from->ahead_own,
	    .ahead_others = from->ahead_others,
	    .in_flight = from->in_flight,
	    .wait_ns = from->wait_ns,
	    .throttled_ns = from->throttled_ns,
	    .device_ahead = from->device_ahead,
	    .running_ns = from->running_ns,
	    .budget_left_ns = from->budget_left_ns,
	    .outcome = (enum npu_outcome)from->outcome,
	};
	for (size_t i = 0; i < from->n_ahead && i < NPU_CLASS_IDLE; i++)
		to->ahead[NPU_CLASS_REALTIME + i] = from->ahead[i];
	for (size_t i = 0; i < from->n_limits; i++)
		if (from->limits[i] >= NPUD__WHY_LIMIT__LIMIT_ORDER &&
		    from->limits[i] <= NPUD__WHY_LIMIT__LIMIT_DEVICE_OFFLINE)
			to->limits |= 1u << from->limits[i];
}

/* Session 0 is one's own. */
static int ask(struct npu_connection *connection, uint64_t session, uint64_t submission, struct npu_why *why)
{
	Npud__WhyQuery query = NPUD__WHY_QUERY__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;

	query.session = session;
	query.submission = submission;
	request.body_case = NPUD__REQUEST__BODY_WHY_QUERY;
	request.why_query = &query;
	int rc = npu_link_call(connection, &request, -1, NPUD__REPLY__BODY_WHY, &reply, "submission");

	if (rc == 0)
		*why = reply.why;
	return rc;
}

int npu_why_session(struct npu_connection *connection, uint64_t session, uint64_t submission, struct npu_why *why)
{
	int rc = npu_link_check_minor(connection, NPU_VISIBLE_MINOR, "submission");

	if (rc)
		return rc;
	if (session == 0)
		return npu_fail(-ENOENT, "submission: sessions are numbered from 1 on");
	return ask(connection, session, submission, why);
}

/* What is over is known here. */
static int explain_end(struct npu_connection *connection, uint64_t ticket, struct npu_why *why)
{
	*why = (struct npu_why){.state = NPU_WHY_ENDED, .device = npu_device_index(connection)};
	(void)pthread_mutex_lock(&connection->lock);
	const struct npu_slot *slot = npu_slot_of(connection, ticket);

	if (slot) {
		why->submission = slot->submission;
		why->outcome = slot->result.outcome;
	}
	(void)pthread_mutex_unlock(&connection->lock);
	return 0;
}

int npu_why(struct npu_connection *connection, uint64_t ticket, struct npu_why *why)
{
	uint64_t submission;
	int rc = npu_link_check_minor(connection, NPU_VISIBLE_MINOR, "submission");

	if (rc == 0)
		rc = npu_submission_find(connection, ticket, &submission);
	if (rc)
		return *npu_error() ? rc : npu_fail(rc, "submission: npud did not name it in time");
	return submission ? ask(connection, 0, submission, why) : explain_end(connection, ticket, why);
}
