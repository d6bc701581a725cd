/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Submissions as applications see them. A submission is sent without waiting for the daemon's answer: the completion
 * says everything, and nothing between here and there allocates.
 */
#include <errno.h>
#include <stdlib.h>
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

/* Packs what is asked for and sends it; the answer is waited for only where the caller needs it. */
struct submit_frame {
	Npud__JobSubmit submit;
	Npud__Request request;
	uint64_t after[NPU_MAX_DEPENDENCIES];
	uint64_t fences[NPU_MAX_DEPENDENCIES];
};

static void frame_init(struct submit_frame *frame, const struct npu_submit_options *options)
{
	npud__job_submit__init(&frame->submit);
	npud__request__init(&frame->request);
	frame->submit.budget_ns = options ? options->budget_ns : 0;
	frame->request.body_case = NPUD__REQUEST__BODY_JOB_SUBMIT;
	frame->request.job_submit = &frame->submit;
}

/* The ticket is taken and will be told its end. */
static int begin(struct npu_job *job, const struct npu_submit_options *options, struct submit_frame *frame,
		 uint64_t *ticket)
{
	struct npu_connection *connection = job->graph->connection;
	int rc = 0;

	frame_init(frame, options);
	(void)pthread_mutex_lock(&connection->lock);
	struct npu_slot *slot = take_slot(job, options, &rc);

	if (slot) {
		*ticket = slot->ticket;
		frame->submit.job = job->handle;
		frame->submit.cookie = slot->ticket;
		frame->request.serial = slot->serial;
		if (job->handle == 0)
			complete_here(slot);
	}
	(void)pthread_mutex_unlock(&connection->lock);
	return rc;
}

int npu_job_submit(struct npu_job *job, const struct npu_submit_options *options, uint64_t *ticket)
{
	struct submit_frame frame;
	uint64_t name = 0;
	int rc = npu_link_check(job->graph->connection);

	if (rc == 0)
		rc = begin(job, options, &frame, &name);
	if (rc)
		return rc;
	/* before it is sent: a callback may run and look at it */
	if (ticket)
		*ticket = name;
	if (frame.submit.job == 0)
		return 0;
	rc = npu_frame_send(job->graph->connection, &frame.request, -1);
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

int npu_submission_find(struct npu_connection *connection, uint64_t ticket, uint64_t *out)
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
		rc = npu_submission_find(connection, ticket, &cancel.submission);
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

/* ------------------------------------------------------------------ with a queue, a deadline, dependencies, a fence */

/* The daemon's name for what has to come before, 0 if it has ended well. */
static int name_of(struct npu_connection *connection, uint64_t ticket, uint64_t *out)
{
	int rc = npu_submission_find(connection, ticket, out);

	if (rc)
		return *npu_error()
			   ? rc
			   : npu_fail(rc, "after: npud did not name ticket %llu in time", (unsigned long long)ticket);
	(void)pthread_mutex_lock(&connection->lock);
	const struct npu_slot *slot = npu_slot_of(connection, ticket);

	if (*out == 0 && slot && slot->result.outcome != NPU_DONE)
		rc = npu_fail(-ECANCELED, "after: ticket %llu ended otherwise than well: %s",
			      (unsigned long long)ticket, slot->result.message);
	(void)pthread_mutex_unlock(&connection->lock);
	return rc;
}

static int frame_depend(struct submit_frame *frame, struct npu_connection *connection,
			const struct npu_run_options *run)
{
	for (uint32_t i = 0; i < run->after_count; i++) {
		uint64_t name;
		int rc = name_of(connection, run->after[i], &name);

		if (rc)
			return rc;
		if (name)
			frame->after[frame->submit.n_after++] = name;
	}
	for (uint32_t i = 0; i < run->fence_count; i++)
		frame->fences[frame->submit.n_fences++] = run->fences[i]->handle;
	frame->submit.after = frame->after;
	frame->submit.fences = frame->fences;
	return 0;
}

/* Before a ticket is taken: what is asked for can be said, and to this daemon. */
static int check_run(const struct npu_connection *connection, const struct npu_run_options *run)
{
	if (run->size != sizeof(*run))
		return npu_fail(-EINVAL, "run options: a size of %zu; start from NPU_RUN_OPTIONS", run->size);
	if ((uint64_t)run->after_count + run->fence_count > NPU_MAX_DEPENDENCIES)
		return npu_fail(-EINVAL, "run options: %u + %u dependencies, a submission can have %u",
				run->after_count, run->fence_count, NPU_MAX_DEPENDENCIES);
	return npu_link_check_minor(connection, NPU_QUEUES_MINOR, "run options");
}

/* Like any request, and the slot learns its name from the reply. */
static int call_submit(struct npu_job *job, struct submit_frame *frame, uint64_t ticket, struct npu_fence *fence)
{
	struct npu_connection *connection = job->graph->connection;
	struct npu_reply reply;
	int rc = npu_link_call(connection, &frame->request, -1, NPUD__REPLY__BODY_SUBMIT_INFO, &reply, "submission");

	if (rc)
		return rc;
	npu_fence_adopt(fence, &reply.submit.fence);
	(void)pthread_mutex_lock(&connection->lock);
	struct npu_slot *slot = npu_slot_of(connection, ticket);

	if (slot) {
		slot->answered = true;
		slot->submission = reply.submit.submission;
		npu_link_wake(connection);
	}
	(void)pthread_mutex_unlock(&connection->lock);
	return 0;
}

static int submit_with(struct npu_job *job, const struct npu_submit_options *options, const struct npu_run_options *run,
		       struct npu_fence *fence, uint64_t *ticket)
{
	struct npu_connection *connection = job->graph->connection;
	struct submit_frame before, frame;
	uint64_t name = 0;

	/* first: it may wait, and nothing is taken yet */
	frame_init(&before, NULL);
	int rc = frame_depend(&before, connection, run);

	if (rc == 0)
		rc = begin(job, options, &frame, &name);
	if (rc)
		return rc;
	if (ticket)
		*ticket = name;
	if (frame.submit.job == 0)
		return 0;
	frame.submit.queue = run->queue ? run->queue->handle : 0;
	frame.submit.deadline_ns = run->deadline_ns;
	frame.submit.restartable = run->restartable;
	frame.submit.after = before.after;
	frame.submit.n_after = before.submit.n_after;
	frame.submit.fences = before.fences;
	frame.submit.n_fences = before.submit.n_fences;
	frame.submit.want_fence = fence != NULL;
	rc = fence ? call_submit(job, &frame, name, fence) : npu_frame_send(connection, &frame.request, -1);
	return rc ? give_back(job, name, rc) : 0;
}

int npu_job_submit_with(struct npu_job *job, const struct npu_submit_options *options,
			const struct npu_run_options *run, uint64_t *ticket)
{
	struct npu_connection *connection = job->graph->connection;

	if (!run)
		return npu_job_submit(job, options, ticket);
	int rc = check_run(connection, run);

	if (rc)
		return rc;
	if (run->fence && job->handle == 0)
		return npu_fail(-EINVAL, "run options: a graph without groups never reaches a device and has no fence");
	struct npu_fence *fence = run->fence ? npu_fence_new(connection) : NULL;

	if (run->fence && !fence)
		return npu_fail(-ENOMEM, "fence: out of memory");
	rc = submit_with(job, options, run, fence, ticket);
	/* without a handle the connection broke meanwhile, and the ticket tells that */
	if (fence && fence->handle == 0) {
		free(fence);
		fence = NULL;
	}
	if (run->fence && rc == 0)
		*run->fence = fence;
	return rc;
}
