/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one submission, up to its one and only outcome. Touches no device. */
#include "daemon/core/submission.h"

#include "daemon/core/buffer.h"
#include "daemon/core/device.h"
#include "daemon/core/fence.h"
#include "daemon/core/host.h"
#include "daemon/core/job.h"
#include "daemon/core/move.h"
#include "daemon/core/queue.h"
#include "daemon/core/session.h"
#include "daemon/core/timeline.h"

uint64_t submission_id(const struct submission *submission)
{
	uint64_t index = (uint64_t)(submission - submission->session->pool);

	return (uint64_t)submission->generation << 32 | (index + 1);
}

bool submission_is_ready(const struct submission *submission)
{
	return submission->dependencies == 0 && list_first(&submission->job->runs) == &submission->turn &&
	       !move_holds_back(submission->session, submission->item.arrival);
}

static void count(const struct submission *submission, uint32_t by)
{
	struct queue *queue = submission->queue;
	unsigned state = submission->state;

	if (state < SUBMISSION_WAITING || state > SUBMISSION_RUNNING)
		return;
	queue->load.in[state] += by;
	submission->session->host->load[queue->share.class].in[state] += by;
}

void submission_move(struct submission *submission, enum submission_state state)
{
	count(submission, (uint32_t)-1);
	submission->state = state;
	count(submission, 1);
}

void submission_enqueue(struct submission *submission, nsec_t now)
{
	struct host *host = submission->session->host;

	submission_move(submission, SUBMISSION_QUEUED);
	submission->ready = now;
	submission->dispatched = (nsec_t){0};
	/* What its job has taken by now: while it waited for a run of that, more became known. */
	submission->item.estimate_ns = submission->job->estimate_ns;
	host->options.scheduler->enqueue(host->sched, &submission->item, now.v);
}

/* The next run of the job may have waited for this one only. */
static void leave_job(struct submission *submission, nsec_t now)
{
	struct job *job = submission->job;

	submission->job = NULL;
	list_remove(&submission->turn);
	job->active--;
	if (job->active == 0)
		for (uint32_t i = 0; i < job->buffer_count; i++)
			buffer_unpin(job->buffers[i]);
	struct list *next = list_first(&job->runs);
	if (next)
		queue_advance(list_entry(next, struct submission, turn)->queue, now);
	if (job->session->closing && job->active == 0)
		job_free(job);
}

/* Neither it nor what it waited for owes the other anything. */
static void leave_dependencies(struct submission *submission)
{
	for (unsigned i = 0; i < NPUD_MAX_DEPENDENCIES; i++)
		list_remove(&submission->waits[i].link);
	submission->dependencies = 0;
}

static void tell_dependents(struct submission *submission)
{
	struct session *session = submission->session;
	enum completion_state state = COMPLETION_FAILED;
	struct fence *fence = submission->fence;

	if (submission->result.outcome == OUT_DONE)
		state = COMPLETION_DONE;
	else if (session->closing)
		state = COMPLETION_GONE;
	submission->fence = NULL;
	completion_raise(session->host, &submission->completion, state);
	if (fence)
		fence_end(fence, state);
}

/* Where the client hears of it; nobody does when the client is gone. */
static void keep_result(struct submission *submission)
{
	struct session *session = submission->session;

	if (session->closing) {
		submission->state = SUBMISSION_FREE;
		list_append(&session->free_submissions, &submission->link);
		return;
	}
	list_append(&session->final, &submission->link);
	session->unreported++;
	session_notify(session);
}

static void account(const struct submission *submission, nsec_t now)
{
	struct session *session = submission->session;
	struct host *host = session->host;

	if (--session->active == 0) {
		session->seat->occupied--;
		control_vacated(session->seat);
	}
	quota_release(&session->quota, QUOTA_QUEUED, 1);
	session->completed++;
	session->device_ns += submission->result.device_ns;
	session->device->counters.used_ns += submission->result.device_ns;
	host->counters.submissions--;
	host->counters.completed++;
	timeline_add(host->timeline, submission, now);
}

void submission_finish(struct submission *submission, const struct submission_result *result, nsec_t now)
{
	struct queue *queue = submission->queue;

	if (submission->state == SUBMISSION_FINAL || submission->state == SUBMISSION_FREE)
		return;
	list_remove(&submission->link);
	submission_move(submission, SUBMISSION_FINAL);
	submission->result = *result;
	account(submission, now);
	leave_dependencies(submission);
	queue->active--;
	leave_job(submission, now);
	queue_advance(queue, now);
	keep_result(submission);
	tell_dependents(submission);
	move_depart(submission->session);
}

void submission_drop(struct submission *submission, enum outcome outcome, const char *reason, nsec_t now)
{
	struct host *host = submission->session->host;
	struct submission_result result = {
	    .outcome = outcome,
	    .reason = reason,
	    .queued_ns = nsec_since(now, submission->submitted),
	};

	host->options.scheduler->remove(host->sched, &submission->item, now.v);
	submission_finish(submission, &result, now);
}
