/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A prepared job: described in steps (begin, groups, commit), every reference checked once, encoded once. The pristine
 * chain is daemon memory that no device reaches; the instance in the arena is rewritten from it before each run.
 */
#ifndef NPUD_CORE_JOB_H
#define NPUD_CORE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/submission.h"
#include "daemon/npu/v3_tcb.h"
#include "daemon/util/fail.h"
#include "daemon/util/list.h"

struct buffer;
struct session;

struct job_ref {
	bool present;
	uint64_t handle;
	uint64_t offset;
};

struct job_v3 {
	uint32_t group_count;
	uint32_t bss_count;
	bool has_gm;
	struct {
		struct job_ref buffer;
		uint64_t bytes;
		bool preload;
		uint64_t preload_offset;
		uint64_t preload_bytes;
	} gm;
};

/* One group as the client describes it. */
struct job_group {
	uint32_t bss;
	uint32_t dependency; /* enum Dependency of npud.proto */
	uint32_t precursors;
	struct job_ref text;
	struct job_ref parameters;
	struct job_ref constants;
	struct job_ref stack;
	uint32_t stack_stride;
	struct job_ref private_data;
	uint32_t private_stride;
	bool print;
	struct job_ref profiler;
	struct job_ref global_param;
	uint32_t profiler_offset;
};

struct job {
	struct list link; /* session->jobs */
	struct session *session;
	uint64_t handle;
	uint64_t serial; /* never used again, unlike addresses */
	bool committed;
	unsigned active; /* submissions that have not ended */
	struct list runs; /* those, by arrival: the first alone may run */

	uint32_t group_count;
	uint32_t bss_count;
	uint32_t groups_added;
	struct v3_group *groups; /* until commit */
	struct v3_gm gm;
	struct buffer **buffers;
	uint32_t buffer_count;
	uint32_t buffer_capacity;

	union zy3_tcb *pristine;
	uint32_t tcbs;
	uint32_t arena_offset; /* of the chain */
	uint32_t print_offset;
	uint32_t print_groups;
	uint64_t arena_bytes; /* charged */
	uint64_t heap_bytes; /* charged */
	uint64_t estimate_ns; /* of the device time of a run, smoothed */
	bool has_run; /* before, nothing is known of it */
	uint64_t epoch; /* tenure in which all its buffers are mapped */
};

int job_begin_v3(struct session *session, const struct job_v3 *description, struct job **out, struct fail *fail);
/* Buffers the program reaches that no group names. */
int job_add_use(struct job *job, const struct job_ref *ref, const char *what, struct fail *fail);
int job_add_group(struct job *job, const struct job_group *group, struct fail *fail);

/* What a description can go back to, so that a frame is taken whole or not at all. */
struct job_mark {
	uint32_t groups_added;
	uint32_t print_groups;
	uint32_t buffer_count;
};
struct job_mark job_mark(const struct job *job);
void job_rollback(struct job *job, struct job_mark mark);

/* A commit that fails leaves the job open, as it was. */
int job_commit(struct job *job, struct fail *fail);
/* -EBUSY while a submission has not ended. */
int job_destroy(struct job *job, struct fail *fail);
/* Whatever its state; no submission of it exists. NULL is legal. */
void job_free(struct job *job);

int job_find(struct session *session, uint64_t handle, struct job **out, struct fail *fail);

/* A run took so long: what the next one is expected to take. */
void job_learn(struct job *job, uint64_t device_ns);

/* Addresses that a completion of this job may report. */
npu_addr_t job_last_tcb(const struct job *job);
/* Index of the TCB that `pointer` names inside this job's chain, or -1. */
int64_t job_tcb_index(const struct job *job, uint32_t pointer);

#endif
