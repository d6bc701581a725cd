/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who pays: a tenant exists while it has a session. It holds the quota that counts and the tenant's place in the
 * scheduler; which tenant a peer is was decided at accept.
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
	char owner[TENANT_NAME_BYTES + 24]; /* as refusals name it */
	unsigned sessions;
	struct quota quota;
	struct sched_tenant share;
};

/* Which tenant, even when it is gone. */
struct tenant_id {
	const struct tenant_profile *profile; /* of the configuration: it stays */
	uint32_t uid;
};

struct tenant_id tenant_id_of(const struct tenant *tenant);
/* Its name for people, at most NPUD_MAX_TENANT_BYTES long. */
void tenant_label(struct tenant_id tenant, char *out, size_t bytes);

/* Found or made; counted per session. */
int tenant_get(struct host *host, const struct tenant_profile *profile, uint32_t uid, struct tenant **out);
void tenant_put(struct host *host, struct tenant *tenant);

#endif
