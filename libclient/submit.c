/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Submissions as applications see them. A submission is sent without waiting for the daemon's answer: the completion
 * says everything, and nothing between here and there allocates.
 */
#include <errno.h>
#include <string.h>

#include "libclient/error.h"
#include "libclient/objects.h"

/* With the lock held. NULL with the error in *rc. */
static struct npu_slot *take_slot(struct npu_job *job, const struct npu_submit_options *options, int *rc)
{
	struct npu_connection *connection = job->graph->connection;

	if (connection->broken) {
		*rc = npu_link_fail(connection);
		return NULL;
	}
	if (job->handle && connection->device_status[connection->device] == NPU_DEVICE_OFFLINE) {
		*rc = npu_fail(-ENODEV, "device %u is offline: see npud's log for what it needs", connection->device);
		return NULL;
	}
	struct npu_slot *slot = npu_slot_take(connection);

	if (!slot) {
		*rc = npu_fail(-EAGAIN, "all %u submissions are in use: wait for one of them", connection->credits);
		return NULL;
	}
	slot->job = job;
	slot->callback = options ? options->done : NULL;
	slot->user = options ? options->user : NULL;
	slot->result.cookie = options ? options->cookie : 0;
	job->in_flight++;
	return slot;
}

/* No device has anything to do for a graph that is only data. */
static void complete_here(struct npu_slot *slot)
{
	struct npu_connection *connection = slot->job->graph->connection;

	slot->result = (struct npu_result){.outcome = NPU_DONE, .cookie = slot->result.cookie};
	npu_slot_complete(connection, slot);
	npu_attention_raise(connection);
}

/* It was not sent. If the connection broke meanwhile, a callback is due and reports it instead. */
static int give_back(struct npu_job *job, uint64_t ticket, int code)
{
	struct npu_connection *connection = job->graph->connection;

	(void)pthread_mutex_lock(&connection->lock);
	struct npu_slot *slot = npu_slot_of(connection, ticket);

	if (slot && !slot->done) {
		job->in_flight--;
		npu_slot_release(connection, slot);
	} else if (slot && !slot->callback) {
		npu_slot_release(connection, slot);
	} else {
		code = 0;
	}
	(void)pthread_mutex_unlock(&connection->lock);
	return code;
}

static int send_submit(struct npu_job *job, uint32_t serial, uint64_t ticket, uint64_t budget_ns)
{
	Npud__JobSubmit submit = NPUD__JOB_SUBMIT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	submit.job = job->handle;
	submit.cookie = ticket;
	submit.budget_ns = budget_ns;
	request.serial = serial;
	request.body_case = NPUD__REQUEST__BODY_JOB_SUBMIT;
	request.job_submit = &submit;
	return npu_frame_send(job->graph->connection, &request, -1);
}

int npu_job_submit(struct npu_job *job, const struct npu_submit_options *options, uint64_t *ticket)
{
	struct npu_connection *connection = job->graph->connection;
	uint64_t name = 0;
	uint32_t serial = 0;
	int rc = npu_link_check(connection);

	if (rc)
		return rc;
	(void)pthread_mutex_lock(&connection->lock);
	struct npu_slot *slot = take_slot(job, options, &rc);
	uint64_t handle = job->handle;

	if (slot) {
		name = slot->ticket;
		serial = slot->serial;
		if (handle == 0)
			complete_here(slot);
	}
	(void)pthread_mutex_unlock(&connection->lock);
	if (!slot)
		return rc;
	/* before it is sent: a callback may run and look at it */
	if (ticket)
		*ticket = name;
	if (handle == 0)
		return 0;
	rc = send_submit(job, serial, name, options ? options->budget_ns : 0);
	return rc ? give_back(job, name, rc) : 0;
}

static bool is_over(struct npu_connection *connection, const void *argument)
{
	const struct npu_slot *slot = npu_slot_of(connection, *(const uint64_t *)argument);

	return !slot || slot->done;
}

static int unknown_ticket(struct npu_connection *connection, uint64_t ticket)
{
	if (connection->broken)
		return npu_link_fail(connection);
	return npu_fail(-ENOENT, "ticket %llu is unknown or has been released", (unsigned long long)ticket);
}

/* With the lock held: the submission is over. Its ticket is released unless a callback does that. */
static int take_result(struct npu_connection *connection, uint64_t ticket, struct npu_result *result)
{
	struct npu_slot *slot = npu_slot_of(connection, ticket);
	int rc = 0;

	if (!slot)
		return unknown_ticket(connection, ticket);
	/* a device that is gone is an outcome, like any other end, and so is a quarantine */
	bool is_outcome = slot->result.outcome == NPU_DEVICE_GONE || slot->result.outcome == NPU_QUARANTINED;
	if (slot->refusal && (!is_outcome || connection->broken))
		rc = npu_fail(slot->refusal, "%s", slot->result.message);
	if (result)
		*result = slot->result;
	if (!slot->callback)
		npu_slot_release(connection, slot);
	return rc;
}

int npu_wait(struct npu_connection *connection, uint64_t ticket, int64_t timeout_ns, struct npu_result *result)
{
	int rc = npu_link_check(connection);

	if (rc)
		return rc;
	int64_t deadline = npu_deadline(timeout_ns);

	(void)pthread_mutex_lock(&connection->lock);
	if (!npu_slot_of(connection, ticket))
		rc = unknown_ticket(connection, ticket);
	else
		rc = npu_link_wait(connection, is_over, &ticket, deadline);
	if (rc == 0)
		rc = take_result(connection, ticket, result);
	else if (rc == -ETIMEDOUT)
		(void)npu_fail(rc, "ticket %llu: still queued or running", (unsigned long long)ticket);
	bool due = connection->callback_head != NPU_NO_SLOT || connection->print_count;

	(void)pthread_mutex_unlock(&connection->lock);
	if (!due)
		return rc;
	/* callbacks make calls of their own, and each call starts without a reason */
	char reason[NPUD_MAX_ERROR_TEXT];
	size_t bytes = strnlen(npu_error(), sizeof(reason) - 1);

	memcpy(reason, npu_error(), bytes);
	reason[bytes] = '\0';
	npu_tickets_deliver(connection);
	npu_error_clear();
	return rc ? npu_fail(rc, "%s", reason) : 0;
}

static bool is_known(struct npu_connection *connection, const void *argument)
{
	const struct npu_slot *slot = npu_slot_of(connection, *(const uint64_t *)argument);

	return !slot || slot->done || slot->answered;
}

/* The daemon's name for a ticket; 0 if it is over. */
static int find_submission(struct npu_connection *connection, uint64_t ticket, uint64_t *out)
{
	int rc;

	(void)pthread_mutex_lock(&connection->lock);
	if (!npu_slot_of(connection, ticket))
		rc = unknown_ticket(connection, ticket);
	else
		rc = npu_link_wait(connection, is_known, &ticket, npu_deadline(NPU_REQUEST_TIMEOUT_NS));
	const struct npu_slot *slot = npu_slot_of(connection, ticket);

	*out = slot && !slot->done ? slot->submission : 0;
	(void)pthread_mutex_unlock(&connection->lock);
	return rc;
}

int npu_cancel(struct npu_connection *connection, uint64_t ticket)
{
	Npud__JobCancel cancel = NPUD__JOB_CANCEL__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;
	int rc = npu_link_check(connection);

	if (rc == 0)
		rc = find_submission(connection, ticket, &cancel.submission);
	if (rc)
		return *npu_error() ? rc : npu_fail(rc, "cancel: npud did not name the submission in time");
	if (cancel.submission == 0)
		return NPU_CANCEL_FINISHED;
	request.body_case = NPUD__REQUEST__BODY_JOB_CANCEL;
	request.job_cancel = &cancel;
	rc = npu_link_call(connection, &request, -1, NPUD__REPLY__BODY_CANCEL_INFO, &reply, "cancel");
	if (rc)
		return rc;
	switch (reply.cancel) {
	case NPUD__CANCEL_STATE__CANCEL_QUEUED:
		return NPU_CANCEL_QUEUED;
	case NPUD__CANCEL_STATE__CANCEL_RUNNING:
		return NPU_CANCEL_RUNNING;
	default:
		return NPU_CANCEL_FINISHED;
	}
}

int npu_job_run(struct npu_job *job, struct npu_result *result)
{
	struct npu_result local = {0};
	uint64_t ticket = 0;

	if (!result)
		result = &local;
	int rc = npu_job_submit(job, NULL, &ticket);

	if (rc == 0)
		rc = npu_wait(job->graph->connection, ticket, NPU_WAIT_FOREVER, result);
	if (rc == 0 && result->outcome != NPU_DONE)
		rc = npu_fail(-EIO, "the job ended with %s: %s", npu_outcome_name(result->outcome), result->message);
	return rc;
}
