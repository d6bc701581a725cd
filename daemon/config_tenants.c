/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of tenants, their limits and defaults; see config_tenants.h and config/npud.schema.json. */
#include "daemon/config_tenants.h"

#include <stdio.h>
#include <string.h>

#define FALLBACK_NAME "default"

static const struct config_choice pers[] = {{"user", TENANT_PER_USER}, {"rule", TENANT_PER_RULE}, {NULL, 0}};
static const struct config_choice spaces[] = {
    {"private", TENANT_SPACE_PRIVATE}, {"tenant", TENANT_SPACE_TENANT}, {"shared", TENANT_SPACE_SHARED}, {NULL, 0}};
static const struct config_choice classes[] = {
    {"realtime", SCHED_REALTIME}, {"high", SCHED_HIGH}, {"normal", SCHED_NORMAL}, {"idle", SCHED_IDLE}, {NULL, 0}};
#define RIGHT_CHOICE(name, text) {text, RIGHT_##name},
static const struct config_choice right_names[] = {RIGHTS(RIGHT_CHOICE){NULL, 0}};

const struct config_key config_limit_keys[] = {
    CONFIG_UINT("sessions", struct config_limits, maximum[QUOTA_SESSIONS], 1, 65536),
    CONFIG_UINT("buffers", struct config_limits, maximum[QUOTA_BUFFERS], 1, 1u << 20),
    CONFIG_UINT("buffer_bytes", struct config_limits, maximum[QUOTA_BUFFER_BYTES], 4096, 1ull << 50),
    CONFIG_UINT("jobs", struct config_limits, maximum[QUOTA_JOBS], 1, 1u << 20),
    CONFIG_UINT("job_bytes", struct config_limits, maximum[QUOTA_JOB_BYTES], 4096, 1ull << 40),
    CONFIG_UINT("tcb_bytes", struct config_limits, maximum[QUOTA_TCB_BYTES], 4096, 1ull << 40),
    CONFIG_UINT("queued", struct config_limits, maximum[QUOTA_QUEUED], 1, 1u << 24),
    CONFIG_UINT("fds", struct config_limits, maximum[QUOTA_FDS], 4, 1u << 20),
    CONFIG_END};

static const struct config_key match_keys[] = {
    {"users", KIND_USERS, offsetof(struct tenant_match, who.users), 0, 0, NULL, NULL, false},
    {"groups", KIND_GROUPS, offsetof(struct tenant_match, who.groups), 0, 0, NULL, NULL, false},
    {"cgroups", KIND_CGROUPS, offsetof(struct tenant_match, cgroups), 0, 0, NULL, NULL, false},
    CONFIG_END};
static const struct config_key profile_keys[] = {
    CONFIG_CHOICE("per", struct tenant_profile, per, pers),
    CONFIG_CHOICE("address_space", struct tenant_profile, address_space, spaces),
    CONFIG_UINT("weight", struct tenant_profile, weight, 1, SCHED_MAX_WEIGHT),
    CONFIG_UINT("time_permille", struct tenant_profile, time_permille, 1, SCHED_WHOLE),
    CONFIG_SET("classes", struct tenant_profile, classes, 1, classes),
    CONFIG_SET("rights", struct tenant_profile, rights, 0, right_names),
    CONFIG_OBJECT("limits", struct tenant_profile, maximum, config_limit_keys),
    CONFIG_END};
static const struct config_key rule_keys[] = {
    {"name", KIND_STRING, offsetof(struct tenant_rule, profile.name), 1, TENANT_NAME_BYTES, NULL, NULL, true},
    {"match", KIND_OBJECT, offsetof(struct tenant_rule, match), 0, 0, NULL, match_keys, true},
    CONFIG_MORE(struct tenant_rule, profile, profile_keys),
    CONFIG_END};

static void set_defaults(struct tenant_profile *profile, const struct config *config)
{
	profile->per = TENANT_PER_USER;
	profile->address_space = TENANT_SPACE_PRIVATE;
	profile->classes = TENANT_DEFAULT_CLASSES;
	profile->rights = TENANT_DEFAULT_RIGHTS;
	profile->weight = SCHED_DEFAULT_WEIGHT;
	profile->time_permille = SCHED_WHOLE;
	memcpy(profile->maximum, config->limits.tenant.maximum, sizeof(profile->maximum));
}

/* Names go into messages and logs. */
static bool is_name(const char *name)
{
	return strspn(name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-") == strlen(name);
}

static bool names_nobody(const struct tenant_match *match)
{
	return match->who.users.count == 0 && match->who.groups.count == 0 && match->cgroups.count == 0;
}

static void check_rule(const struct tenant_rules *rules, uint32_t i, struct config_errors *errors)
{
	const char *name = rules->rule[i].profile.name;
	char name_path[32], match_path[32];

	if (snprintf(name_path, sizeof(name_path), "tenants[%u].name", i) < 0 ||
	    snprintf(match_path, sizeof(match_path), "tenants[%u].match", i) < 0)
		return;
	if (!is_name(name))
		config_complain(errors, name_path, "must be of letters, digits, \".\", \"_\" and \"-\"");
	if (strcmp(name, FALLBACK_NAME) == 0)
		config_complain(errors, name_path, "is the name of default_tenant");
	for (uint32_t j = 0; j < i; j++)
		if (strcmp(name, rules->rule[j].profile.name) == 0)
			config_complain(errors, name_path, "tenants[%u] has the same name", j);
	if (names_nobody(&rules->rule[i].match))
		config_complain(errors, match_path, "names nobody: users, groups or cgroups have to");
}

static void parse_rules(const json_t *tenants, struct config *config, struct config_errors *errors)
{
	struct tenant_rules *rules = &config->tenants;
	size_t count = json_array_size(tenants);
	char path[32];

	if (!json_is_array(tenants) || count > TENANT_MAX_RULES) {
		config_complain(errors, "tenants", "must be an array of at most %u tenants", TENANT_MAX_RULES);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		unsigned before = errors->count;
		if (snprintf(path, sizeof(path), "tenants[%u]", i) < 0)
			return;
		set_defaults(&rules->rule[i].profile, config);
		config_parse_object(json_array_get(tenants, i), rule_keys, path, &rules->rule[i], errors);
		if (errors->count == before)
			check_rule(rules, i, errors);
	}
	rules->count = (uint32_t)count;
}

void config_parse_tenants(const json_t *root, struct config *config, struct config_errors *errors)
{
	struct tenant_profile *fallback = &config->tenants.fallback;
	const json_t *tenants = json_object_get(root, "tenants");
	const json_t *given = json_object_get(root, "default_tenant");

	set_defaults(fallback, config);
	memcpy(fallback->name, FALLBACK_NAME, sizeof(FALLBACK_NAME));
	if (given)
		config_parse_object(given, profile_keys, "default_tenant", fallback, errors);
	if (tenants)
		parse_rules(tenants, config, errors);
}
