/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of a prepared job: waiting (for its turn in its queue and among the runs of its job, and for what it depends
 * on) → queued → running → final, the last exactly once.
 * Submissions come from a pool of their session that never grows: its size is the session's event credits.
 */
#ifndef NPUD_CORE_SUBMISSION_H
#define NPUD_CORE_SUBMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/completion.h"
#include "daemon/policy/sched.h"
#include "daemon/util/list.h"
#include "daemon/util/types.h"
#include "proto/limits.h"

struct fence;
struct job;
struct queue;
struct session;

enum submission_state {
	SUBMISSION_FREE = 0,
	SUBMISSION_WAITING,
	SUBMISSION_QUEUED,
	SUBMISSION_RUNNING,
	SUBMISSION_FINAL, /* its event waits for the client */
};

/* The numbers of enum Outcome in npud.proto; wire/ asserts it. */
enum outcome {
	OUT_DONE = 1,
	OUT_EXCEPTION = 2,
	OUT_FAULT = 3,
	OUT_TIMEOUT = 4,
	OUT_CANCELLED = 5,
	OUT_DEVICE_RESET = 6,
	OUT_DEVICE_GONE = 7,
	OUT_SHED = 8,
	OUT_QUARANTINED = 9,
	OUT_DEPENDENCY = 10,
};

struct submission_result {
	enum outcome outcome;
	const char *reason; /* static text or NULL */
	uint32_t tcb_pointer;
	uint32_t hardware_status;
	uint32_t signal_flags;
	uint64_t queued_ns;
	uint64_t device_ns;
	uint64_t device_ticks;
	bool started;
};

struct submission {
	struct list link; /* free, its queue's waiting list, the device's in-flight list, or the session's final list */
	struct list turn; /* job->runs */
	struct sched_item item;
	struct session *session;
	struct job *job;
	struct queue *queue;
	struct completion completion;
	struct completion_wait waits[NPUD_MAX_DEPENDENCIES];
	unsigned dependencies; /* that have not ended */
	struct fence *fence; /* NULL: nobody wanted one */
	enum submission_state state;
	uint32_t generation;
	uint64_t job_handle;
	uint64_t cookie;
	uint64_t budget_ns;
	nsec_t submitted;
	nsec_t ready; /* the scheduler had it: for the last time, as dispatched; 0: not yet */
	nsec_t dispatched;
	unsigned attempts;
	unsigned lost; /* recoveries that it did not cause, while it may have been running */
	bool restartable; /* it overwrites nothing that it reads: it may run again though it had started */
	bool cancel_wanted;
	struct submission_result result;
};

/* How many are where, of those that have not ended. */
struct submission_load {
	uint32_t in[SUBMISSION_RUNNING + 1]; /* by state */
};

/* Runs that a recovery may put back before it gives up on a submission. */
#define SUBMISSION_MAX_ATTEMPTS 8u
/* Recoveries that end even what may run again: who is always there when it happens may be their cause. */
#define SUBMISSION_MAX_LOST 2u

uint64_t submission_id(const struct submission *submission);

/* Every change between states that are counted, into them and out of them. */
void submission_move(struct submission *submission, enum submission_state state);

/* Nothing that it waited for is still to come, except its turn in its queue; nor does its session move. */
bool submission_is_ready(const struct submission *submission);

/* The final outcome: counts it, frees the job for its next run, and queues the event for the client. */
void submission_finish(struct submission *submission, const struct submission_result *result, nsec_t now);

/* Ends a submission that is not on the device. */
void submission_drop(struct submission *submission, enum outcome outcome, const char *reason, nsec_t now);

/* Into the scheduler's queue: for the first time, or back from the device. */
void submission_enqueue(struct submission *submission, nsec_t now);

#endif
