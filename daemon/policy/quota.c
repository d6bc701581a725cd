/* SPDX-License-Identifier: Apache-2.0 */
/* Exact counters; see quota.h. */
#include "daemon/policy/quota.h"

#include <errno.h>

void quota_init(struct quota *quota, const char *owner, struct quota *parent, const uint64_t *maximum)
{
	quota->owner = owner;
	quota->parent = parent;
	for (unsigned i = 0; i < QUOTA_RESOURCES; i++) {
		quota->used[i] = 0;
		quota->maximum[i] = maximum ? maximum[i] : UINT64_MAX;
	}
}

int quota_charge(struct quota *quota, enum quota_resource resource, uint64_t amount, struct quota_violation *violation)
{
	for (struct quota *q = quota; q; q = q->parent) {
		/* used may exceed maximum after the maximum was lowered */
		if (q->used[resource] <= q->maximum[resource] && amount <= q->maximum[resource] - q->used[resource])
			continue;
		if (violation)
			*violation =
			    (struct quota_violation){q->owner, resource, q->used[resource], q->maximum[resource]};
		return -EDQUOT;
	}
	for (struct quota *q = quota; q; q = q->parent)
		q->used[resource] += amount;
	return 0;
}

bool quota_release(struct quota *quota, enum quota_resource resource, uint64_t amount)
{
	bool exact = true;

	for (struct quota *q = quota; q; q = q->parent) {
		if (amount > q->used[resource]) {
			q->used[resource] = 0;
			exact = false;
		} else {
			q->used[resource] -= amount;
		}
	}
	return exact;
}

int quota_charge_all(struct quota *quota, const struct quota_amount *amounts, size_t count,
		     struct quota_violation *violation)
{
	for (size_t i = 0; i < count; i++) {
		int error = quota_charge(quota, amounts[i].resource, amounts[i].amount, violation);
		if (error == 0)
			continue;
		quota_release_all(quota, amounts, i);
		return error;
	}
	return 0;
}

void quota_release_all(struct quota *quota, const struct quota_amount *amounts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		quota_release(quota, amounts[i].resource, amounts[i].amount);
}

bool quota_is_clear(const struct quota *quota)
{
	for (unsigned i = 0; i < QUOTA_RESOURCES; i++)
		if (quota->used[i] != 0)
			return false;
	return true;
}

const char *quota_resource_name(enum quota_resource resource)
{
	static const char *const names[QUOTA_RESOURCES] = {[QUOTA_SESSIONS] = "sessions",
							   [QUOTA_BUFFERS] = "buffers",
							   [QUOTA_BUFFER_BYTES] = "buffer_bytes",
							   [QUOTA_JOBS] = "jobs",
							   [QUOTA_JOB_BYTES] = "job_bytes",
							   [QUOTA_TCB_BYTES] = "tcb_bytes",
							   [QUOTA_QUEUED] = "queued",
							   [QUOTA_FDS] = "fds"};

	return (unsigned)resource < QUOTA_RESOURCES ? names[resource] : "?";
}
