/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one submission, up to its one and only outcome. Touches no device. */
#include "daemon/core/submission.h"

#include "daemon/core/buffer.h"
#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/job.h"
#include "daemon/core/session.h"

uint64_t submission_id(const struct submission *submission)
{
	uint64_t index = (uint64_t)(submission - submission->session->pool);

	return (uint64_t)submission->generation << 32 | (index + 1);
}

void submission_enqueue(struct submission *submission, nsec_t now)
{
	struct host *host = submission->session->host;

	submission->state = SUBMISSION_QUEUED;
	submission->job->busy = true;
	/* What its job has taken by now: while it waited for a run of that, more became known. */
	submission->item.estimate_ns = submission->job->estimate_ns;
	host->options.scheduler->enqueue(host->sched, &submission->item, now.v);
}

static void start_next_of_job(struct job *job, nsec_t now)
{
	struct list *first = list_first(&job->waiting);

	job->busy = false;
	if (!first)
		return;
	list_remove(first);
	submission_enqueue(list_entry(first, struct submission, link), now);
}

static void leave_job(struct submission *submission, bool was_waiting, nsec_t now)
{
	struct job *job = submission->job;

	submission->job = NULL;
	job->active--;
	if (job->active == 0)
		for (uint32_t i = 0; i < job->buffer_count; i++)
			buffer_unpin(job->buffers[i]);
	if (!was_waiting)
		start_next_of_job(job, now);
	if (job->session->closing && job->active == 0)
		job_free(job);
}

void submission_finish(struct submission *submission, const struct submission_result *result, nsec_t now)
{
	struct session *session = submission->session;
	bool was_waiting = submission->state == SUBMISSION_WAITING;

	if (submission->state == SUBMISSION_FINAL || submission->state == SUBMISSION_FREE)
		return;
	list_remove(&submission->link);
	submission->state = SUBMISSION_FINAL;
	submission->result = *result;
	session->active--;
	session->host->counters.submissions--;
	session->host->counters.completed++;
	leave_job(submission, was_waiting, now);
	if (session->closing) {
		submission->state = SUBMISSION_FREE;
		list_append(&session->free_submissions, &submission->link);
		return;
	}
	list_append(&session->final, &submission->link);
	session_notify(session);
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
