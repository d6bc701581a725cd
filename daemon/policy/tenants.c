/* SPDX-License-Identifier: Apache-2.0 */
/* Rules and identity to a tenant's profile; see tenants.h. */
#include "daemon/policy/tenants.h"

#include <string.h>

bool tenants_is_cgroup(const char *path)
{
	size_t bytes = strlen(path);

	if (bytes == 0 || bytes >= TENANT_CGROUP_BYTES || path[0] != '/')
		return false;
	if (bytes == 1)
		return true;
	for (const char *at = path; *at;) {
		size_t length = strcspn(++at, "/");
		if (length == 0 || (at[0] == '.' && (length == 1 || (length == 2 && at[1] == '.'))))
			return false;
		at += length;
	}
	return true;
}

bool tenants_is_below(const char *path, const char *prefix)
{
	size_t bytes = strlen(prefix);

	if (bytes == 1) /* "/" */
		return path[0] == '/';
	return strncmp(path, prefix, bytes) == 0 && (path[bytes] == '\0' || path[bytes] == '/');
}

static bool matches(const struct tenant_match *match, const struct rights_subject *subject)
{
	if (rights_rule_names(&match->who, subject))
		return true;
	for (uint32_t i = 0; subject->cgroup && i < match->cgroups.count; i++)
		if (tenants_is_below(subject->cgroup, match->cgroups.path[i]))
			return true;
	return false;
}

const struct tenant_profile *tenants_find(const struct tenant_rules *rules, const struct rights_rules *rights,
					  const struct rights_subject *subject)
{
	for (uint32_t i = 0; i < rules->count; i++)
		if (matches(&rules->rule[i].match, subject))
			return &rules->rule[i].profile;
	if (rules->unknown == TENANT_UNKNOWN_REFUSE && !rights_has_all(rights, subject))
		return NULL;
	return &rules->fallback;
}

uint32_t tenants_rights(const struct tenant_profile *profile, const struct rights_rules *rights,
			const struct rights_subject *subject)
{
	return profile->rights | rights_of(rights, subject);
}

bool tenants_name_cgroups(const struct tenant_rules *rules)
{
	for (uint32_t i = 0; i < rules->count; i++)
		if (rules->rule[i].match.cgroups.count)
			return true;
	return false;
}

uint64_t tenants_largest(const struct tenant_rules *rules, enum quota_resource resource)
{
	uint64_t largest = rules->fallback.maximum[resource];

	for (uint32_t i = 0; i < rules->count; i++)
		if (rules->rule[i].profile.maximum[resource] > largest)
			largest = rules->rule[i].profile.maximum[resource];
	return largest;
}

uint32_t tenants_number(const struct tenant_rules *rules, const char *name)
{
	for (uint32_t i = 0; i < rules->count; i++)
		if (strcmp(rules->rule[i].profile.name, name) == 0)
			return i + 1;
	return strcmp(rules->fallback.name, name) == 0 ? 0 : TENANT_NO_RULE;
}

const char *tenants_class_name(enum sched_class class)
{
	static const char *const names[SCHED_CLASSES] = {
	    [SCHED_REALTIME] = "realtime", [SCHED_HIGH] = "high", [SCHED_NORMAL] = "normal", [SCHED_IDLE] = "idle"};

	return (unsigned)class < SCHED_CLASSES ? names[class] : "?";
}
