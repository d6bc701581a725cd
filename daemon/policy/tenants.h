/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which tenant a peer is, and what that tenant may have: rules from the configuration, in order, the first that names
 * the peer decides. Pure: it knows numbers and paths only, and is asked once per connection.
 */
#ifndef NPUD_POLICY_TENANTS_H
#define NPUD_POLICY_TENANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/policy/quota.h"
#include "daemon/policy/rights.h"
#include "daemon/policy/sched.h"

#define TENANT_MAX_RULES 32u
#define TENANT_NAME_BYTES 64u
#define TENANT_MAX_CGROUPS 8u
#define TENANT_CGROUP_BYTES 256u

#define TENANT_CLASS_BIT(class) (1u << (class))
#define TENANT_DEFAULT_CLASSES (TENANT_CLASS_BIT(SCHED_NORMAL) | TENANT_CLASS_BIT(SCHED_IDLE))
#define TENANT_DEFAULT_RIGHTS (RIGHT_BIT(RIGHT_SUBMIT) | RIGHT_BIT(RIGHT_IMPORT))

struct tenant_cgroups {
	uint32_t count;
	char path[TENANT_MAX_CGROUPS][TENANT_CGROUP_BYTES];
};

/* One of the users, or in one of the groups, or in one of the cgroups or below it. */
struct tenant_match {
	struct right_rule who;
	struct tenant_cgroups cgroups;
};

/* Whether each user of a rule pays for himself, or all peers of the rule together are one tenant. */
enum tenant_per { TENANT_PER_USER = 0, TENANT_PER_RULE };

/* Who shares an address space with a session: nobody, its tenant, or all tenants that say "shared". */
enum tenant_space { TENANT_SPACE_PRIVATE = 0, TENANT_SPACE_TENANT, TENANT_SPACE_SHARED };

/* What a tenant gets. */
struct tenant_profile {
	char name[TENANT_NAME_BYTES];
	uint32_t per;
	uint32_t address_space; /* enum tenant_space */
	uint32_t classes; /* set of TENANT_CLASS_BIT() */
	uint32_t rights; /* set of RIGHT_BIT() */
	uint64_t weight;
	uint64_t time_permille;
	uint64_t maximum[QUOTA_RESOURCES]; /* of all its sessions together */
};

struct tenant_rule {
	struct tenant_match match;
	struct tenant_profile profile;
};

enum tenant_unknown { TENANT_UNKNOWN_DEFAULT = 0, TENANT_UNKNOWN_REFUSE };

struct tenant_rules {
	uint32_t count;
	struct tenant_rule rule[TENANT_MAX_RULES];
	uint32_t unknown; /* enum tenant_unknown: peers that no rule names */
	struct tenant_profile fallback; /* what they get, unless they are refused */
};

/*
 * NULL: the peer is refused. Root and the daemon's own user never are. A peer whose cgroup is not known matches no
 * cgroup.
 */
const struct tenant_profile *tenants_find(const struct tenant_rules *rules, const struct rights_rules *rights,
					  const struct rights_subject *subject);

/* The profile's rights, and those that the peer has anyway. */
uint32_t tenants_rights(const struct tenant_profile *profile, const struct rights_rules *rights,
			const struct rights_subject *subject);

/* Some rule names a cgroup: only then is it worth asking for a peer's. */
bool tenants_name_cgroups(const struct tenant_rules *rules);

/* The most that any tenant may have. */
uint64_t tenants_largest(const struct tenant_rules *rules, enum quota_resource resource);

/* Absolute, of plain components, without a slash at its end (except "/"), and short enough. */
bool tenants_is_cgroup(const char *path);
/* `path` is `prefix` or lies below it: whole components count. */
bool tenants_is_below(const char *path, const char *prefix);

/* Of the rule with this name: 1 for the first, 0 for what unknown peers get, TENANT_NO_RULE if there is none. */
#define TENANT_NO_RULE UINT32_MAX
uint32_t tenants_number(const struct tenant_rules *rules, const char *name);

const char *tenants_class_name(enum sched_class class);

#endif
