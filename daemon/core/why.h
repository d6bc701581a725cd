/* SPDX-License-Identifier: Apache-2.0 */
/* Why a submission is where it is: what is before it, how long that takes, and what keeps it from the device. */
#ifndef NPUD_CORE_WHY_H
#define NPUD_CORE_WHY_H

#include <stdint.h>

#include "daemon/core/submission.h"
#include "daemon/core/viewer.h"
#include "daemon/policy/sched.h"
#include "daemon/util/fail.h"

struct host;
struct session;

/* The numbers of enum WhyState and enum WhyLimit in npud.proto. */
enum why_state { WHY_WAITING = 1, WHY_QUEUED, WHY_RUNNING, WHY_ENDED };
enum why_limit {
	WHY_ORDER = 1,
	WHY_IN_FLIGHT,
	WHY_TENURE,
	WHY_QUANTUM,
	WHY_TENANT_TIME,
	WHY_DEVICE_CHANGING,
	WHY_DEVICE_RECOVERING,
	WHY_DEVICE_OFFLINE,
	WHY_LIMITS
};

struct why {
	uint64_t session;
	uint64_t submission;
	uint64_t job;
	uint64_t queue;
	enum sched_class class;
	uint32_t device;
	enum why_state state;
	uint64_t age_ns;
	/* waiting: for so many of each */
	uint32_t queue_ahead;
	uint32_t job_ahead;
	uint32_t dependencies;
	uint32_t fences;
	/* queued */
	struct sched_why order;
	uint32_t in_flight; /* on the device already */
	uint64_t wait_ns; /* estimate for all before it */
	uint32_t limits; /* bit 1 << enum why_limit: all that apply */
	/* running */
	uint32_t device_ahead;
	uint64_t running_ns; /* since it is its turn on the device; 0: others are before it */
	uint64_t budget_left_ns;
	/* ended */
	enum outcome outcome; /* 0 once the client was told */
};

/* -ENOENT: no such submission, or none that the viewer sees. */
int why_read(struct host *host, const struct viewer *viewer, uint64_t session, uint64_t submission, struct why *why,
	     struct fail *fail);

#endif
