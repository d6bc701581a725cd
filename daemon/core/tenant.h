/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who pays: a tenant exists while it has a session or the scheduler has a claim on it. It holds the quota that counts
 * and the tenant's place in the scheduler; which tenant a peer is was decided at accept.
 */
#ifndef NPUD_CORE_TENANT_H
#define NPUD_CORE_TENANT_H

#include <stddef.h>

#include "daemon/policy/quota.h"
#include "daemon/policy/sched.h"
#include "daemon/policy/tenants.h"
#include "daemon/util/list.h"

struct host;

struct tenant {
	struct list link; /* host->tenants */
	const struct tenant_profile *profile;
	uint32_t uid; /* of whom it is; 0 where all peers of a rule are one */
	uint64_t key; /* of this tenant and no other, whether it has sessions or not */
	char owner[TENANT_NAME_BYTES + 24]; /* as refusals name it: "tenant ", then its name */
	unsigned sessions;
	struct quota quota;
	struct sched_tenant share;
};

/* RULE, or RULE:USER (a number) where each user of a rule is a tenant. */
const char *tenant_name(const struct tenant *tenant);
/* The same by key, even when it is gone: at most NPUD_MAX_TENANT_BYTES. */
void tenant_label(const struct host *host, uint64_t key, char *out, size_t bytes);
/* The key of the tenant of this name, which need not have a session: -ENOENT if no rule makes such a tenant. */
int tenant_key(const struct host *host, const char *name, uint64_t *out);

/* Found or made; counted per session. */
int tenant_get(struct host *host, const struct tenant_profile *profile, uint32_t uid, struct tenant **out);
void tenant_put(struct host *host, struct tenant *tenant);
/* The host ends. */
void tenant_forget_all(struct host *host);

#endif
