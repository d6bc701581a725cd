/* SPDX-License-Identifier: Apache-2.0 */
/* Queues and the order inside them; see queue.h. Decides when a submission may run, never which one does. */
#include "daemon/core/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "daemon/core/host.h"
#include "daemon/core/session.h"
#include "daemon/core/submission.h"
#include "daemon/util/clock.h"

static void share_open(struct queue *queue, struct session *session, const struct queue_options *options)
{
	struct host *host = session->host;

	queue->session = session;
	list_init(&queue->link);
	list_init(&queue->waiting);
	queue->share = (struct sched_queue){
	    .session = &session->share,
	    .class = options->class,
	    .weight = options->weight ? options->weight : SCHED_DEFAULT_WEIGHT,
	};
	host->options.scheduler->queue_open(host->sched, &queue->share);
}

void queue_init(struct queue *queue, struct session *session)
{
	static const struct queue_options options = {.class = SCHED_NORMAL};

	share_open(queue, session, &options);
}

void queue_fini(struct queue *queue)
{
	struct host *host = queue->session->host;

	host->options.scheduler->queue_close(host->sched, &queue->share);
}

static int check_options(const struct session *session, const struct queue_options *options, struct fail *fail)
{
	if ((unsigned)options->class >= SCHED_CLASSES)
		return fail_set(fail, EINVAL, "queue class: %u is unknown", (unsigned)options->class);
	if (options->weight > SCHED_MAX_WEIGHT)
		return fail_set(fail, EINVAL, "queue weight: %u is not in 1..%u", options->weight, SCHED_MAX_WEIGHT);
	return session_may_use(session, options->class, fail);
}

int queue_create(struct session *session, const struct queue_options *options, struct queue **out, struct fail *fail)
{
	int error = check_options(session, options, fail);

	if (error < 0)
		return error;
	struct queue *queue = calloc(1, sizeof(*queue));
	if (!queue)
		return fail_set(fail, ENOMEM, "queue: no memory");
	error = handles_add(&session->queue_handles, queue, &queue->handle);
	if (error < 0) {
		free(queue);
		if (error == -ENOSPC)
			return fail_limit(fail, "queues", "session", session->queue_handles.live,
					  session->queue_handles.maximum, "destroy queues");
		return fail_set(fail, -error, "queue: no memory for a handle");
	}
	share_open(queue, session, options);
	list_append(&session->queues, &queue->link);
	*out = queue;
	return 0;
}

/* What has not ended counts for the new class from now on. */
static void change_load(const struct queue *queue, enum sched_class class)
{
	struct host *host = queue->session->host;

	for (unsigned state = SUBMISSION_WAITING; state <= SUBMISSION_RUNNING; state++) {
		host->load[queue->share.class].in[state] -= queue->load.in[state];
		host->load[class].in[state] += queue->load.in[state];
	}
}

int queue_change(struct queue *queue, const struct queue_options *options, struct fail *fail)
{
	struct host *host = queue->session->host;
	int error = check_options(queue->session, options, fail);

	if (error < 0)
		return error;
	change_load(queue, options->class);
	host->options.scheduler->queue_change(host->sched, &queue->share, options->class,
					      options->weight ? options->weight : SCHED_DEFAULT_WEIGHT, clock_now().v);
	return 0;
}

void queue_free(struct queue *queue)
{
	handles_remove(&queue->session->queue_handles, queue->handle);
	queue_fini(queue);
	list_remove(&queue->link);
	free(queue);
}

int queue_destroy(struct queue *queue, struct fail *fail)
{
	if (queue->handle == 0)
		return fail_set(fail, EINVAL, "queue 0: the session's own queue stays");
	if (queue->active)
		return fail_set(fail, EBUSY, "queue 0x%" PRIx64 ": %u submissions have not ended; wait or cancel first",
				queue->handle, queue->active);
	queue_free(queue);
	return 0;
}

int queue_find(struct session *session, uint64_t handle, struct queue **out, struct fail *fail)
{
	struct queue *queue = handle ? handles_get(&session->queue_handles, handle) : &session->queue;

	if (!queue)
		return fail_set(fail, ENOENT, "queue 0x%" PRIx64 ": no such queue in this session", handle);
	*out = queue;
	return 0;
}

void queue_append(struct queue *queue, struct submission *submission)
{
	submission->queue = queue;
	submission_move(submission, SUBMISSION_WAITING);
	queue->active++;
	list_append(&queue->waiting, &submission->link);
}

void queue_advance(struct queue *queue, nsec_t now)
{
	struct list *first;

	while ((first = list_first(&queue->waiting))) {
		struct submission *submission = list_entry(first, struct submission, link);
		if (!submission_is_ready(submission))
			return;
		list_remove(first);
		submission_enqueue(submission, now);
	}
}
