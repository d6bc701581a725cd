/* SPDX-License-Identifier: Apache-2.0 */
/* Exact numbers of verdicts, their decay, and when somebody is refused and let back. */
#include "daemon/policy/quarantine.h"
#include "tests/unit/suite.h"

#define SECOND UINT64_C(1000000000)
#define POINTS(n) ((uint64_t)((n)*QUARANTINE_POINT))

static const struct quarantine_rules rules = {
    .session_threshold = 3, .tenant_threshold = 5, .half_life_ns = 10 * SECOND, .minimum_ns = 4 * SECOND};

START_TEST(points_halve_with_each_half_life)
{
	struct quarantine_account account = {.points = POINTS(8), .at_ns = 100};

	ck_assert_uint_eq(quarantine_points(&rules, &account, 100), POINTS(8));
	ck_assert_uint_eq(quarantine_points(&rules, &account, 100 + 10 * SECOND), POINTS(4));
	ck_assert_uint_eq(quarantine_points(&rules, &account, 100 + 30 * SECOND), POINTS(1));
	/* 8 * 2^-0.5 and 8 * 2^-1.75 (…334 without rounding), times 2^32 */
	ck_assert_uint_eq(quarantine_points(&rules, &account, 100 + 5 * SECOND), UINT64_C(24296004000));
	ck_assert_uint_eq(quarantine_points(&rules, &account, 100 + 35 * SECOND / 2), UINT64_C(10215211332));
	/* time that goes back changes nothing, and after an age nothing is left */
	ck_assert_uint_eq(quarantine_points(&rules, &account, 0), POINTS(8));
	ck_assert_uint_eq(quarantine_points(&rules, &account, UINT64_MAX), 0);
}
END_TEST

START_TEST(points_never_rise_while_nothing_happens)
{
	struct quarantine_account account = {.points = POINTS(1000)};
	uint64_t last = account.points;

	for (uint64_t at = 0; at < 700 * SECOND; at += SECOND / 17) {
		uint64_t points = quarantine_points(&rules, &account, at);
		ck_assert_uint_le(points, last);
		last = points;
	}
	ck_assert_uint_eq(last, 0);
}
END_TEST

START_TEST(the_threshold_is_met_by_as_many_verdicts_as_it_says)
{
	struct quarantine_account account = {0};

	ck_assert(!quarantine_blame(&rules, 3, &account, SECOND));
	ck_assert(!quarantine_blame(&rules, 3, &account, SECOND));
	ck_assert_uint_eq(quarantine_left(&rules, 3, &account, SECOND), 0);
	ck_assert(quarantine_blame(&rules, 3, &account, SECOND));
	ck_assert_uint_eq(account.points, POINTS(3));
	/* exactly at the threshold: the shortest time decides */
	ck_assert_uint_eq(quarantine_left(&rules, 3, &account, SECOND), 4 * SECOND);
	ck_assert_uint_eq(quarantine_left(&rules, 3, &account, 5 * SECOND - 1), 1);
	ck_assert_uint_eq(quarantine_left(&rules, 3, &account, 5 * SECOND), 0);
	/* it is told once, however many come */
	ck_assert(!quarantine_blame(&rules, 3, &account, SECOND));
}
END_TEST

START_TEST(verdicts_that_are_rare_are_never_enough)
{
	struct quarantine_account account = {0};

	/* one a half-life: the sum stays below two */
	for (uint64_t i = 0; i < 100; i++)
		ck_assert(!quarantine_blame(&rules, 2, &account, i * 10 * SECOND));
	ck_assert_uint_lt(account.points, POINTS(2));
	ck_assert_uint_eq(POINTS(2) - account.points, 1);
}
END_TEST

START_TEST(decay_lets_an_offender_back_and_one_more_verdict_does_not_wait)
{
	struct quarantine_account account = {0};

	for (int i = 0; i < 6; i++)
		(void)quarantine_blame(&rules, 3, &account, SECOND);
	/* from 6 to 3 takes one half-life, and then the next moment */
	uint64_t left = quarantine_left(&rules, 3, &account, SECOND);
	ck_assert_uint_gt(left, 10 * SECOND);
	ck_assert_uint_lt(left, 10 * SECOND + SECOND / 100);
	ck_assert_uint_gt(quarantine_left(&rules, 3, &account, SECOND + left - 1), 0);
	ck_assert_uint_eq(quarantine_left(&rules, 3, &account, SECOND + left), 0);
	ck_assert(quarantine_blame(&rules, 3, &account, SECOND + left));
}
END_TEST

START_TEST(a_pardon_forgets_everything)
{
	struct quarantine_account account = {0};

	for (int i = 0; i < 9; i++)
		(void)quarantine_blame(&rules, 3, &account, SECOND);
	quarantine_pardon(&account);
	ck_assert_uint_eq(quarantine_left(&rules, 3, &account, SECOND), 0);
	ck_assert_uint_eq(quarantine_points(&rules, &account, SECOND), 0);
	ck_assert(!quarantine_blame(&rules, 3, &account, SECOND));
}
END_TEST

START_TEST(a_threshold_of_nothing_refuses_nobody)
{
	struct quarantine_account account = {0};

	for (int i = 0; i < 1000; i++)
		ck_assert(!quarantine_blame(&rules, 0, &account, SECOND));
	ck_assert_uint_eq(quarantine_left(&rules, 0, &account, SECOND), 0);
}
END_TEST

START_TEST(of_too_many_tenants_the_one_with_the_fewest_points_is_forgotten)
{
	static struct quarantine_tenants tenants;

	ck_assert_ptr_null(quarantine_find(&tenants, 0));
	for (uint64_t tenant = 0; tenant < QUARANTINE_TENANTS; tenant++) {
		struct quarantine_account *account = quarantine_account_of(&rules, &tenants, tenant, SECOND);
		for (uint64_t i = 0; i < (tenant == 17 ? 1 : 2); i++)
			(void)quarantine_blame(&rules, 5, account, SECOND);
	}
	ck_assert_ptr_nonnull(quarantine_find(&tenants, 17));
	struct quarantine_account *account = quarantine_account_of(&rules, &tenants, 1000, SECOND);
	ck_assert_uint_eq(account->points, 0);
	(void)quarantine_blame(&rules, 5, account, SECOND);
	ck_assert_ptr_null(quarantine_find(&tenants, 17));
	ck_assert_ptr_eq(quarantine_find(&tenants, 1000), account);
	ck_assert_ptr_eq(quarantine_account_of(&rules, &tenants, 1000, SECOND), account);
	ck_assert_ptr_nonnull(quarantine_find(&tenants, 0));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quarantine");
	TCase *tcase = tcase_create("quarantine");

	tcase_add_test(tcase, points_halve_with_each_half_life);
	tcase_add_test(tcase, points_never_rise_while_nothing_happens);
	tcase_add_test(tcase, the_threshold_is_met_by_as_many_verdicts_as_it_says);
	tcase_add_test(tcase, verdicts_that_are_rare_are_never_enough);
	tcase_add_test(tcase, decay_lets_an_offender_back_and_one_more_verdict_does_not_wait);
	tcase_add_test(tcase, a_pardon_forgets_everything);
	tcase_add_test(tcase, a_threshold_of_nothing_refuses_nobody);
	tcase_add_test(tcase, of_too_many_tenants_the_one_with_the_fewest_points_is_forgotten);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
