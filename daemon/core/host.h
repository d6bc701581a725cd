/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one daemon serves: its devices, tenants and sessions, and the totals over them. Joins the objects of core; owns
 * no socket and no thread but the devices' workers.
 */
#ifndef NPUD_CORE_HOST_H
#define NPUD_CORE_HOST_H

#include <stdint.h>

#include "daemon/core/address_space.h"
#include "daemon/core/submission.h"
#include "daemon/npu/npu.h"
#include "daemon/policy/quarantine.h"
#include "daemon/policy/quota.h"
#include "daemon/policy/rights.h"
#include "daemon/policy/sched.h"
#include "daemon/policy/tenants.h"
#include "daemon/util/handles.h"
#include "daemon/util/list.h"

#define HOST_MAX_DEVICES 16u
#define HOST_MAX_FENCES (1u << 20)

enum scrub_mode { SCRUB_RESET = 0, SCRUB_GM, SCRUB_NONE };

struct host_options {
	const struct sched_ops *scheduler;
	uint64_t ageing_ns;
	uint32_t remainder[SCHED_CLASSES]; /* permille */
	uint32_t max_in_flight;
	uint64_t min_in_flight_ns; /* of estimated device time: below it there may be more */
	uint64_t max_in_flight_ns; /* of estimated device time, from the second submission on */
	uint64_t default_budget_ns;
	uint64_t max_budget_ns;
	struct quarantine_rules quarantine;
	enum scrub_mode scrub;
	struct npu_quirks quirks;
	struct rights_rules rights;
	struct tenant_rules tenants;
	uint64_t capacity[QUOTA_RESOURCES]; /* of all tenants together: what the host has to spare */
};

struct device;
struct session;
struct timeline;

struct host_counters {
	uint64_t submissions; /* live */
	uint64_t completed;
};

struct host {
	struct host_options options;
	struct device *devices[HOST_MAX_DEVICES];
	uint32_t device_count;
	struct sched *sched;
	struct quota quota;
	struct list tenants;
	struct list sessions;
	uint32_t session_count;
	struct handles fences; /* of all sessions */
	struct list woken; /* struct completion_wait whose completion came */
	bool waking;
	uint64_t next_session;
	uint64_t next_arrival;
	uint64_t next_job;
	struct list spaces; /* struct address_space, those that sessions to come may share */
	uint64_t next_space;
	uint32_t slot_spaces[SPACE_SLOTS];
	struct quarantine_tenants offenders;
	struct host_counters counters;
	struct submission_load load[SCHED_CLASSES]; /* of all sessions */
	struct timeline *timeline;
};

struct host_stats {
	uint64_t sessions;
	uint64_t buffers;
	uint64_t buffer_bytes;
	uint64_t jobs;
	uint64_t submissions;
	uint64_t mappings;
	uint64_t arena_bytes;
	uint64_t tenures;
	uint64_t completed;
	uint64_t unknown_completions;
	uint64_t resets;
	uint64_t aborts;
};

int host_new(const struct host_options *options, uint32_t devices, struct host **out);
/* All sessions are closed and settled, all devices freed. NULL is legal. */
void host_free(struct host *host);

int host_add_device(struct host *host, struct device *device);

/* The device with the fewest sessions, those that work and take new ones first. NULL: none was ever there. */
struct device *host_pick_device(struct host *host);
/* Of those that fit into what the device can address, the slot with the fewest address spaces. */
uint32_t host_pick_slot(const struct host *host, const struct device *device);

/* Tell every session; those whose device is gone may find another one. */
void host_device_changed(struct host *host, const struct device *device);

void host_stats_read(const struct host *host, struct host_stats *out);

#endif
