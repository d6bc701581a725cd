/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants come with their first session and go with their last; see tenant.h. */
#include "daemon/core/tenant.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/host.h"
#include "daemon/util/clock.h"
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

#define PREFIX "tenant "

static uint64_t key_of(uint32_t rule, uint32_t uid)
{
	return (uint64_t)rule << 32 | uid;
}

static const struct tenant_profile *profile_of(const struct tenant_rules *rules, uint32_t number)
{
	return number ? &rules->rule[number - 1].profile : &rules->fallback;
}

static void write_label(const struct tenant_profile *profile, uint32_t uid, char *out, size_t bytes)
{
	if (profile->per == TENANT_PER_RULE)
		(void)snprintf(out, bytes, "%s", profile->name);
	else
		(void)snprintf(out, bytes, "%s:%" PRIu32, profile->name, uid);
}

static void set_owner(struct tenant *tenant)
{
	size_t bytes = sizeof(PREFIX) - 1;

	memcpy(tenant->owner, PREFIX, bytes);
	write_label(tenant->profile, tenant->uid, tenant->owner + bytes, sizeof(tenant->owner) - bytes);
}

/* Keys are made of rules, which stay as they were configured. */
void tenant_label(const struct host *host, uint64_t key, char *out, size_t bytes)
{
	write_label(profile_of(&host->options.tenants, (uint32_t)(key >> 32)), (uint32_t)key, out, bytes);
}

const char *tenant_name(const struct tenant *tenant)
{
	return tenant->owner + sizeof(PREFIX) - 1;
}

int tenant_key(const struct host *host, const char *name, uint64_t *out)
{
	const struct tenant_rules *rules = &host->options.tenants;
	const char *colon = strrchr(name, ':');
	char rule[TENANT_NAME_BYTES];
	unsigned long user = 0;
	char *end = NULL;

	size_t bytes = colon ? (size_t)(colon - name) : strlen(name);
	if (bytes >= sizeof(rule))
		return -ENOENT;
	memcpy(rule, name, bytes);
	rule[bytes] = '\0';
	uint32_t number = tenants_number(rules, rule);
	if (number == TENANT_NO_RULE || (profile_of(rules, number)->per == TENANT_PER_RULE) != !colon)
		return -ENOENT;
	if (colon)
		user = strtoul(colon + 1, &end, 10);
	if (colon && (end == colon + 1 || *end || user > UINT32_MAX))
		return -ENOENT;
	*out = key_of(number, (uint32_t)user);
	return 0;
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
	tenant->key = key_of(tenants_number(&host->options.tenants, profile->name), uid);
	set_owner(tenant);
	quota_init(&tenant->quota, tenant->owner, &host->quota, profile->maximum);
	list_append(&host->tenants, &tenant->link);
	*out = tenant;
	return 0;
}

static void tenant_free(struct host *host, struct tenant *tenant)
{
	host->options.scheduler->tenant_close(host->sched, &tenant->share);
	list_remove(&tenant->link);
	free(tenant);
}

/* Who has no session left and owes nothing. */
static void forget_settled(struct host *host)
{
	const struct sched_ops *ops = host->options.scheduler;

	list_each (node, next, &host->tenants) {
		struct tenant *tenant = list_entry(node, struct tenant, link);
		if (tenant->sessions == 0 && !ops->tenant_owes(host->sched, &tenant->share, clock_now().v))
			tenant_free(host, tenant);
	}
}

void tenant_forget_all(struct host *host)
{
	list_each (node, next, &host->tenants)
		tenant_free(host, list_entry(node, struct tenant, link));
}

int tenant_get(struct host *host, const struct tenant_profile *profile, uint32_t uid, struct tenant **out)
{
	if (profile->per == TENANT_PER_RULE)
		uid = 0;
	struct tenant *tenant = find(host, profile, uid);
	int error = 0;

	if (!tenant) {
		forget_settled(host);
		error = tenant_new(host, profile, uid, &tenant);
	}
	if (error < 0)
		return error;
	tenant->sessions++;
	*out = tenant;
	return 0;
}

void tenant_put(struct host *host, struct tenant *tenant)
{
	/* Nobody gets rid of what he owes by coming back. */
	if (--tenant->sessions == 0)
		forget_settled(host);
}
