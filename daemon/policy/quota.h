/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who uses how much: exact counters, charged all or nothing to a session, its tenant and the daemon. The quota is the
 * tenant's: a session only counts, so that its use can be told and given back, and the daemon's maximum is what the
 * host has to spare for all. Pure: it knows numbers only.
 */
#ifndef NPUD_POLICY_QUOTA_H
#define NPUD_POLICY_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum quota_resource {
	QUOTA_SESSIONS = 0,
	QUOTA_BUFFERS,
	QUOTA_BUFFER_BYTES,
	QUOTA_JOBS,
	QUOTA_JOB_BYTES, /* descriptions and pristine TCB copies in the daemon's memory */
	QUOTA_TCB_BYTES, /* TCB arena memory */
	QUOTA_QUEUED, /* submissions that were accepted and have not ended */
	QUOTA_FDS, /* descriptors that the daemon holds: of connections, buffers, fences */
	QUOTA_RESOURCES
};

struct quota {
	const char *owner; /* as refusals name it: "tenant NAME", "daemon" */
	struct quota *parent; /* charged too; NULL at the top */
	uint64_t used[QUOTA_RESOURCES];
	uint64_t maximum[QUOTA_RESOURCES]; /* UINT64_MAX: counted only */
};

/* Where a charge failed. */
struct quota_violation {
	const char *owner;
	enum quota_resource resource;
	uint64_t used;
	uint64_t maximum;
};

/* `maximum` NULL: it counts and refuses nothing. */
void quota_init(struct quota *quota, const char *owner, struct quota *parent, const uint64_t *maximum);

/* -EDQUOT and `violation` (may be NULL) if an owner would exceed its maximum: then nothing is charged. */
int quota_charge(struct quota *quota, enum quota_resource resource, uint64_t amount, struct quota_violation *violation);

struct quota_amount {
	enum quota_resource resource;
	uint64_t amount;
};

/* Several at once, all or nothing. */
int quota_charge_all(struct quota *quota, const struct quota_amount *amounts, size_t count,
		     struct quota_violation *violation);
void quota_release_all(struct quota *quota, const struct quota_amount *amounts, size_t count);

/* Returns what was charged. Returning more than was charged is a bug: the counter stops at 0 and false comes back. */
bool quota_release(struct quota *quota, enum quota_resource resource, uint64_t amount);

/* Nothing is charged. */
bool quota_is_clear(const struct quota *quota);

const char *quota_resource_name(enum quota_resource resource);

#endif
