/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting and cancelling submissions. What is accepted here ends exactly once; what is refused leaves no trace. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/core/buffer.h"
#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/job.h"
#include "daemon/core/move.h"
#include "daemon/core/offence.h"
#include "daemon/core/session.h"
#include "daemon/util/clock.h"

int session_prepare_pool(struct session *session)
{
	if (session->pool)
		return 0;
	session->pool = calloc(NPUD_MAX_INFLIGHT_EVENTS, sizeof(*session->pool));
	if (!session->pool)
		return -ENOMEM;
	for (uint32_t i = 0; i < NPUD_MAX_INFLIGHT_EVENTS; i++) {
		struct submission *submission = &session->pool[i];
		submission->session = session;
		list_init(&submission->turn);
		for (unsigned k = 0; k < NPUD_MAX_DEPENDENCIES; k++) {
			list_init(&submission->waits[k].link);
			submission->waits[k].submission = submission;
		}
		list_append(&session->free_submissions, &submission->link);
	}
	return 0;
}

/* ------------------------------------------------------------------ what is asked for */

static int check_numbers(const struct session *session, const struct submit_request *request, struct fail *fail)
{
	const struct host_options *options = &session->host->options;

	if (request->budget_ns > options->max_budget_ns)
		return fail_set(fail, EINVAL, "budget_ns: %" PRIu64 " is above the maximum of %" PRIu64,
				request->budget_ns, options->max_budget_ns);
	if (request->core > session->device->identity.cores)
		return fail_set(fail, EINVAL, "core: %u, the device has the cores 1 to %u", request->core,
				session->device->identity.cores);
	if (request->after_count + request->fence_count > NPUD_MAX_DEPENDENCIES)
		return fail_set(fail, EINVAL, "after and fences: %zu together, a submission can wait for %u",
				request->after_count + request->fence_count, NPUD_MAX_DEPENDENCIES);
	return 0;
}

static int check_job(struct session *session, const struct job *job, struct fail *fail)
{
	if (!job->committed)
		return fail_set(fail, EINVAL, "job 0x%" PRIx64 ": not committed", job->handle);
	if (!device_is_usable(session->seat))
		return fail_set(fail, ENODEV, "device %s: %s", session->seat->name, session->seat->reason);
	if (list_empty(&session->free_submissions))
		return fail_limit(fail, "event_credits", "session", NPUD_MAX_INFLIGHT_EVENTS, NPUD_MAX_INFLIGHT_EVENTS,
				  "read the completions of earlier submissions");
	for (uint32_t i = 0; i < job->buffer_count; i++)
		if (job->buffers[i]->released)
			return fail_set(fail, ENOENT, "job 0x%" PRIx64 ": buffer 0x%" PRIx64 " was released",
					job->handle, job->buffers[i]->handle);
	return offence_check(session, clock_now(), fail);
}

struct submission *session_submission(struct session *session, uint64_t id)
{
	uint32_t index = handle_index(id);

	if (!session->pool || index >= NPUD_MAX_INFLIGHT_EVENTS || id >> 32 == 0)
		return NULL;
	struct submission *submission = &session->pool[index];
	return id >> 32 <= submission->generation ? submission : NULL;
}

/* What a submission waits for: found first, linked when nothing can be refused any more. */
struct dependencies {
	unsigned pending_count;
	unsigned own_count; /* of them, submissions of this session: the first ones */
	struct completion *pending[NPUD_MAX_DEPENDENCIES];
	bool failed; /* one had ended, and not well */
};

static void depend(struct dependencies *dependencies, struct completion *completion)
{
	if (completion->state == COMPLETION_PENDING)
		dependencies->pending[dependencies->pending_count++] = completion;
	else if (completion->state != COMPLETION_DONE)
		dependencies->failed = true;
}

static int find_dependencies(struct session *session, const struct submit_request *request, struct dependencies *out,
			     struct fail *fail)
{
	for (size_t i = 0; i < request->after_count; i++) {
		struct submission *before = session_submission(session, request->after[i]);
		if (!before)
			return fail_set(fail, ENOENT, "after: 0x%" PRIx64 " is no submission of this session",
					request->after[i]);
		/* Otherwise it was reported, and another has its place: it counts as done. */
		if (request->after[i] >> 32 == before->generation)
			depend(out, &before->completion);
	}
	out->own_count = out->pending_count;
	for (size_t i = 0; i < request->fence_count; i++) {
		struct fence_hold *hold;
		int error = fence_find(session, request->fences[i], &hold, fail);
		if (error < 0)
			return error;
		depend(out, &hold->fence->completion);
	}
	return 0;
}

/* ------------------------------------------------------------------ accepting */

static struct submission *take_submission(struct session *session)
{
	struct submission *submission = list_entry(list_first(&session->free_submissions), struct submission, link);

	list_remove(&submission->link);
	submission->generation++;
	submission->attempts = 0;
	submission->lost = 0;
	submission->cancel_wanted = false;
	submission->dependencies = 0;
	submission->ready = submission->dispatched = (nsec_t){0};
	submission->fence = NULL;
	completion_init(&submission->completion);
	return submission;
}

static void fill(struct submission *submission, struct job *job, struct queue *queue,
		 const struct submit_request *request)
{
	struct host *host = submission->session->host;
	nsec_t now = clock_now();

	submission->job = job;
	submission->job_handle = job->handle;
	submission->cookie = request->cookie;
	submission->budget_ns = request->budget_ns ? request->budget_ns : host->options.default_budget_ns;
	submission->core = request->core;
	submission->restartable = request->restartable;
	submission->submitted = now;
	submission->item = (struct sched_item){
	    .queue = &queue->share,
	    .arrival = ++host->next_arrival,
	    .deadline_ns = request->deadline_ns ? nsec_add(now, request->deadline_ns).v : 0,
	};
}

/* What has failed already is as good a reason to end it as what fails later. */
static void await(struct submission *submission, const struct dependencies *dependencies)
{
	submission->dependencies = dependencies->pending_count;
	for (unsigned i = 0; i < dependencies->pending_count; i++) {
		submission->waits[i].by_fence = i >= dependencies->own_count;
		completion_await(dependencies->pending[i], &submission->waits[i]);
	}
	if (dependencies->failed)
		submission_drop(submission, OUT_DEPENDENCY, "a submission that it depends on had failed", clock_now());
}

static void enter(struct submission *submission, struct job *job, struct queue *queue)
{
	struct session *session = submission->session;

	if (session->active++ == 0)
		session->seat->occupied++;
	session->host->counters.submissions++;
	if (job->active++ == 0)
		for (uint32_t i = 0; i < job->buffer_count; i++)
			buffer_pin(job->buffers[i]);
	list_append(&job->runs, &submission->turn);
	queue_append(queue, submission);
}

/* What it takes of the session beside its place in the pool: charged, and a fence if one is wanted. */
static int pay(struct session *session, const struct submit_request *request, struct submit_reply *reply,
	       struct fail *fail)
{
	int error = session_charge(session, QUOTA_QUEUED, 1, fail);

	if (error < 0 || !request->want_fence)
		return error;
	error = fence_create(session, &reply->fence, fail);
	if (error < 0)
		quota_release(&session->quota, QUOTA_QUEUED, 1);
	return error;
}

int session_submit(struct session *session, const struct submit_request *request, struct submit_reply *reply,
		   struct fail *fail)
{
	struct dependencies dependencies = {0};
	struct queue *queue;
	struct job *job;
	int error = job_find(session, request->job, &job, fail);

	if (error == 0)
		error = check_numbers(session, request, fail);
	if (error == 0)
		error = queue_find(session, request->queue, &queue, fail);
	if (error == 0)
		error = check_job(session, job, fail);
	if (error == 0)
		error = find_dependencies(session, request, &dependencies, fail);
	if (error == 0)
		error = control_leave_drained(session, fail);
	if (error == 0)
		error = pay(session, request, reply, fail);
	if (error)
		return error;
	move_consider(session);
	struct submission *submission = take_submission(session);
	if (request->want_fence)
		submission->fence = reply->fence.hold->fence;
	fill(submission, job, queue, request);
	enter(submission, job, queue);
	reply->submission = submission_id(submission);
	await(submission, &dependencies);
	queue_advance(queue, submission->submitted);
	device_pump(session->device);
	return 0;
}

enum cancel_state session_cancel(struct session *session, uint64_t id)
{
	struct submission *submission = session_submission(session, id);

	if (!submission || submission->generation != (uint32_t)(id >> 32))
		return CANCEL_FINISHED;
	switch (submission->state) {
	case SUBMISSION_WAITING:
	case SUBMISSION_QUEUED:
		submission_drop(submission, OUT_CANCELLED, "cancelled before it ran", clock_now());
		device_pump(session->device);
		return CANCEL_QUEUED;
	case SUBMISSION_RUNNING:
		submission->cancel_wanted = true;
		device_pump(session->device);
		return CANCEL_RUNNING;
	case SUBMISSION_FREE:
	case SUBMISSION_FINAL:
	default:
		return CANCEL_FINISHED;
	}
}
