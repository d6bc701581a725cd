/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants come with their first session and go with their last; see tenant.h. */
#include "daemon/core/tenant.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/host.h"
#include "proto/limits.h"

_Static_assert(TENANT_NAME_BYTES + sizeof(":4294967295") - 1 <= NPUD_MAX_TENANT_BYTES, "every label fits");

static struct tenant *find(const struct host *host, const struct tenant_profile *profile, uint32_t uid)
{
	list_each (node, next, &host->tenants) {
		struct tenant *tenant = list_entry(node, struct tenant, link);
		if (tenant->profile == profile && tenant->uid == uid)
			return tenant;
	}
	return NULL;
}

struct tenant_id tenant_id_of(const struct tenant *tenant)
{
	return (struct tenant_id){tenant->profile, tenant->uid};
}

void tenant_label(struct tenant_id tenant, char *out, size_t bytes)
{
	if (tenant.profile->per == TENANT_PER_RULE)
		(void)snprintf(out, bytes, "%s", tenant.profile->name);
	else
		(void)snprintf(out, bytes, "%s:%" PRIu32, tenant.profile->name, tenant.uid);
}

static void set_owner(struct tenant *tenant)
{
	static const char kind[] = "tenant ";
	size_t bytes = sizeof(kind) - 1;

	memcpy(tenant->owner, kind, bytes);
	tenant_label(tenant_id_of(tenant), tenant->owner + bytes, sizeof(tenant->owner) - bytes);
}

static int tenant_new(struct host *host, const struct tenant_profile *profile, uint32_t uid, struct tenant **out)
{
	struct tenant *tenant = calloc(1, sizeof(*tenant));

	if (!tenant)
		return -ENOMEM;
	tenant->profile = profile;
	tenant->uid = uid;
	tenant->share.weight = (uint32_t)profile->weight;
	tenant->share.time_permille = (uint32_t)profile->time_permille;
	int error = host->options.scheduler->tenant_open(host->sched, &tenant->share);
	if (error < 0) {
		free(tenant);
		return error;
	}
	set_owner(tenant);
	quota_init(&tenant->quota, tenant->owner, &host->quota, profile->maximum);
	list_append(&host->tenants, &tenant->link);
	*out = tenant;
	return 0;
}

int tenant_get(struct host *host, const struct tenant_profile *profile, uint32_t uid, struct tenant **out)
{
	if (profile->per == TENANT_PER_RULE)
		uid = 0;
	struct tenant *tenant = find(host, profile, uid);
	int error = tenant ? 0 : tenant_new(host, profile, uid, &tenant);

	if (error < 0)
		return error;
	tenant->sessions++;
	*out = tenant;
	return 0;
}

void tenant_put(struct host *host, struct tenant *tenant)
{
	if (--tenant->sessions)
		return;
	host->options.scheduler->tenant_close(host->sched, &tenant->share);
	list_remove(&tenant->link);
	free(tenant);
}
