/* SPDX-License-Identifier: Apache-2.0 */
/* Exact numbers of the quota counters. */
#include <errno.h>

#include "daemon/policy/quota.h"
#include "tests/unit/suite.h"

static void limits(uint64_t out[QUOTA_RESOURCES], uint64_t value)
{
	for (int i = 0; i < QUOTA_RESOURCES; i++)
		out[i] = value;
}

START_TEST(a_charge_counts_at_every_owner_and_returns_exactly)
{
	uint64_t maximum[QUOTA_RESOURCES];
	struct quota top, tenant, session;

	limits(maximum, 1000);
	quota_init(&top, "daemon", NULL, maximum);
	quota_init(&tenant, "tenant", &top, maximum);
	quota_init(&session, "session", &tenant, maximum);
	ck_assert_int_eq(quota_charge(&session, QUOTA_BUFFER_BYTES, 700, NULL), 0);
	ck_assert_int_eq(quota_charge(&session, QUOTA_BUFFER_BYTES, 300, NULL), 0);
	ck_assert_uint_eq(top.used[QUOTA_BUFFER_BYTES], 1000);
	ck_assert(quota_release(&session, QUOTA_BUFFER_BYTES, 999));
	ck_assert_uint_eq(tenant.used[QUOTA_BUFFER_BYTES], 1);
	ck_assert(!quota_is_clear(&session));
	ck_assert(quota_release(&session, QUOTA_BUFFER_BYTES, 1));
	ck_assert(quota_is_clear(&session) && quota_is_clear(&tenant) && quota_is_clear(&top));
	/* more than was charged is a bug, and seen */
	ck_assert(!quota_release(&session, QUOTA_BUFFER_BYTES, 1));
}
END_TEST

START_TEST(a_charge_over_any_owners_limit_charges_nobody)
{
	uint64_t maximum[QUOTA_RESOURCES];
	struct quota_violation violation;
	struct quota top, tenant, first, second;

	limits(maximum, 1000);
	quota_init(&top, "daemon", NULL, maximum);
	limits(maximum, 10);
	quota_init(&tenant, "tenant", &top, maximum);
	quota_init(&first, "session", &tenant, maximum);
	quota_init(&second, "session", &tenant, maximum);
	ck_assert_int_eq(quota_charge(&first, QUOTA_JOBS, 6, NULL), 0);
	/* a second connection gets no second allowance */
	ck_assert_int_eq(quota_charge(&second, QUOTA_JOBS, 5, &violation), -EDQUOT);
	ck_assert_str_eq(violation.owner, "tenant");
	ck_assert_uint_eq(violation.used, 6);
	ck_assert_uint_eq(violation.maximum, 10);
	ck_assert_uint_eq(second.used[QUOTA_JOBS], 0);
	ck_assert_uint_eq(top.used[QUOTA_JOBS], 6);
	ck_assert_int_eq(quota_charge(&second, QUOTA_JOBS, 4, NULL), 0);
	/* no overflow helps */
	ck_assert_int_eq(quota_charge(&second, QUOTA_JOBS, UINT64_MAX, NULL), -EDQUOT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quota");
	TCase *tcase = tcase_create("quota");

	tcase_add_test(tcase, a_charge_counts_at_every_owner_and_returns_exactly);
	tcase_add_test(tcase, a_charge_over_any_owners_limit_charges_nobody);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
