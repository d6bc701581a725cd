/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of a session: its submissions start in the order in which they came. It holds those that may not run yet: for
 * an earlier one of the queue, an earlier run of the same job, or what they depend on. The others are the scheduler's.
 */
#ifndef NPUD_CORE_QUEUE_H
#define NPUD_CORE_QUEUE_H

#include <stdint.h>

#include "daemon/core/submission.h"
#include "daemon/policy/sched.h"
#include "daemon/util/fail.h"
#include "daemon/util/list.h"
#include "daemon/util/types.h"

struct session;

struct queue {
	struct list link; /* session->queues */
	struct session *session;
	uint64_t handle; /* 0: the session's default */
	struct sched_queue share;
	struct list waiting; /* struct submission, by arrival */
	uint32_t active; /* submissions that have not ended */
	struct submission_load load; /* the same, by state */
};

struct queue_options {
	enum sched_class class;
	uint32_t weight; /* 0: SCHED_DEFAULT_WEIGHT */
};

/* The queue that the session always has; part of it. */
void queue_init(struct queue *queue, struct session *session);
void queue_fini(struct queue *queue);

int queue_create(struct session *session, const struct queue_options *options, struct queue **out, struct fail *fail);
int queue_change(struct queue *queue, const struct queue_options *options, struct fail *fail);
/* -EBUSY while a submission has not ended. */
int queue_destroy(struct queue *queue, struct fail *fail);
void queue_free(struct queue *queue);
/* 0 names the session's default. */
int queue_find(struct session *session, uint64_t handle, struct queue **out, struct fail *fail);

/* Behind what it holds. */
void queue_append(struct queue *queue, struct submission *submission);
/* Something that its first one waited for came: what may run now goes to the scheduler. */
void queue_advance(struct queue *queue, nsec_t now);

#endif
