/* SPDX-License-Identifier: Apache-2.0 */
/* Rules and identity to rights; see rights.h. */
#include "daemon/policy/rights.h"

_Static_assert(RIGHT_COUNT < 32, "a set of rights is 32 bits");

static bool has_id(const struct right_ids *ids, uint32_t id)
{
	for (uint32_t i = 0; i < ids->count; i++)
		if (ids->id[i] == id)
			return true;
	return false;
}

bool rights_rule_names(const struct right_rule *rule, const struct rights_subject *subject)
{
	if (has_id(&rule->users, subject->uid) || has_id(&rule->groups, subject->gid))
		return true;
	for (size_t i = 0; i < subject->group_count; i++)
		if (has_id(&rule->groups, subject->groups[i]))
			return true;
	return false;
}

bool rights_has_all(const struct rights_rules *rules, const struct rights_subject *subject)
{
	return subject->uid == 0 || subject->uid == rules->own_uid;
}

uint32_t rights_of(const struct rights_rules *rules, const struct rights_subject *subject)
{
	uint32_t rights = RIGHTS_NONE;

	if (rights_has_all(rules, subject))
		return RIGHTS_ALL;
	for (unsigned right = 0; right < RIGHT_COUNT; right++)
		if (rights_rule_names(&rules->of[right], subject))
			rights |= RIGHT_BIT(right);
	return rights;
}

const char *right_name(enum right right)
{
#define RIGHTS_NAME(name, text) text,
	static const char *const names[RIGHT_COUNT] = {RIGHTS(RIGHTS_NAME)};

	return (unsigned)right < RIGHT_COUNT ? names[right] : "?";
}
