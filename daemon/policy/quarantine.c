/* SPDX-License-Identifier: Apache-2.0 */
/* Points, their decay and what follows from them; see quarantine.h. */
#include "daemon/policy/quarantine.h"

#include <stddef.h>

#define ROOTS 16u
#define WHOLE_HALVINGS 64u /* nothing is left of any number after so many */

/* 2^(-1/2), 2^(-1/4), 2^(-1/8)... of 2^32: any fraction of a half-life is a product of these. */
static const uint32_t root[ROOTS] = {0xb504f334, 0xd744fccb, 0xeac0c6e8, 0xf5257d15, 0xfa83b2db, 0xfd3e0c0d,
				     0xfe9e115c, 0xff4ecb59, 0xffa75652, 0xffd3a752, 0xffe9d2b3, 0xfff4e91c,
				     0xfffa747f, 0xfffd3a3b, 0xfffe9d1d, 0xffff4e8e};

/* Falls with the age and never rises: the factor is rounded less than a step changes it. */
static uint64_t decay(uint64_t points, uint64_t age_ns, uint64_t half_life_ns)
{
	uint64_t halvings = age_ns / half_life_ns;

	if (halvings >= WHOLE_HALVINGS)
		return 0;
	uint64_t rest_ns = age_ns % half_life_ns;
	uint64_t factor = UINT64_C(1) << 32;
	for (unsigned i = 0; i < ROOTS && rest_ns; i++) {
		rest_ns *= 2;
		if (rest_ns < half_life_ns)
			continue;
		rest_ns -= half_life_ns;
		factor = factor * root[i] >> 32;
	}
	return (uint64_t)((unsigned __int128)points * factor >> (32 + halvings));
}

uint64_t quarantine_points(const struct quarantine_rules *rules, const struct quarantine_account *account,
			   uint64_t now_ns)
{
	uint64_t age_ns = now_ns > account->at_ns ? now_ns - account->at_ns : 0;

	return decay(account->points, age_ns, rules->half_life_ns);
}

static bool is_refused(const struct quarantine_rules *rules, uint32_t threshold,
		       const struct quarantine_account *account, uint64_t now_ns)
{
	return threshold && (now_ns < account->until_ns ||
			     quarantine_points(rules, account, now_ns) >= threshold * QUARANTINE_POINT);
}

bool quarantine_blame(const struct quarantine_rules *rules, uint32_t threshold, struct quarantine_account *account,
		      uint64_t now_ns)
{
	bool before = is_refused(rules, threshold, account, now_ns);

	account->points = quarantine_points(rules, account, now_ns) + QUARANTINE_POINT;
	account->at_ns = now_ns;
	if (before || !is_refused(rules, threshold, account, now_ns))
		return false;
	account->until_ns = now_ns + rules->minimum_ns;
	return true;
}

/* Points fall steadily: the first moment at which they are too few is found by halving. */
static uint64_t until_few(const struct quarantine_rules *rules, uint32_t threshold, uint64_t points)
{
	uint64_t few = WHOLE_HALVINGS * rules->half_life_ns, many = 0;

	if (points < threshold * QUARANTINE_POINT)
		return 0;
	while (few - many > 1) {
		uint64_t middle = many + (few - many) / 2;
		if (decay(points, middle, rules->half_life_ns) < threshold * QUARANTINE_POINT)
			few = middle;
		else
			many = middle;
	}
	return few;
}

uint64_t quarantine_left(const struct quarantine_rules *rules, uint32_t threshold,
			 const struct quarantine_account *account, uint64_t now_ns)
{
	if (!is_refused(rules, threshold, account, now_ns))
		return 0;
	uint64_t minimum_ns = account->until_ns > now_ns ? account->until_ns - now_ns : 0;
	uint64_t decay_ns = until_few(rules, threshold, quarantine_points(rules, account, now_ns));
	return decay_ns > minimum_ns ? decay_ns : minimum_ns;
}

void quarantine_pardon(struct quarantine_account *account)
{
	*account = (struct quarantine_account){0};
}

/* ------------------------------------------------------------------ tenants */

struct quarantine_account *quarantine_find(struct quarantine_tenants *tenants, uint64_t tenant)
{
	for (size_t i = 0; i < tenants->used; i++)
		if (tenants->entries[i].tenant == tenant && tenants->entries[i].account.points)
			return &tenants->entries[i].account;
	return NULL;
}

struct quarantine_account *quarantine_account_of(const struct quarantine_rules *rules,
						 struct quarantine_tenants *tenants, uint64_t tenant, uint64_t now_ns)
{
	struct quarantine_account *found = quarantine_find(tenants, tenant);
	uint64_t fewest = UINT64_MAX;
	size_t at = 0;

	if (found)
		return found;
	for (size_t i = 0; i < QUARANTINE_TENANTS; i++) {
		uint64_t points = quarantine_points(rules, &tenants->entries[i].account, now_ns);
		if (points >= fewest)
			continue;
		fewest = points;
		at = i;
	}
	tenants->entries[at].tenant = tenant;
	if (at == tenants->used)
		tenants->used++;
	quarantine_pardon(&tenants->entries[at].account);
	return &tenants->entries[at].account;
}
