/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets which right: exactly those that a rule names, and root. */
#include <string.h>

#include "daemon/policy/rights.h"
#include "tests/unit/suite.h"

#define MAPS RIGHT_BIT(RIGHT_MAPS)

static uint32_t of(const struct rights_rules *rules, uint32_t uid, uint32_t gid)
{
	const struct rights_subject subject = {.uid = uid, .gid = gid};

	return rights_of(rules, &subject);
}

START_TEST(without_rules_root_has_every_right_and_nobody_else_any)
{
	static const struct rights_rules none = {.own_uid = 0};

	ck_assert_uint_eq(of(&none, 0, 0), RIGHTS_ALL);
	ck_assert_uint_eq(of(&none, 0, 1000), RIGHTS_ALL);
	ck_assert_uint_eq(of(&none, 1, 0), RIGHTS_NONE); /* its group alone is not root */
	ck_assert_uint_eq(of(&none, 1000, 1000), RIGHTS_NONE);
	ck_assert_uint_eq(of(&none, UINT32_MAX, UINT32_MAX), RIGHTS_NONE);
}
END_TEST

START_TEST(the_daemons_own_user_has_every_right)
{
	static const struct rights_rules rules = {.own_uid = 77};

	ck_assert_uint_eq(of(&rules, 77, 5), RIGHTS_ALL);
	ck_assert_uint_eq(of(&rules, 0, 5), RIGHTS_ALL);
	ck_assert_uint_eq(of(&rules, 78, 77), RIGHTS_NONE);
}
END_TEST

START_TEST(a_rule_gives_its_right_to_the_users_it_names)
{
	static const struct rights_rules rules = {.of[RIGHT_MAPS].users = {.count = 2, .id = {1000, 1002, 1003}}};

	ck_assert_uint_eq(of(&rules, 1000, 5), MAPS);
	ck_assert_uint_eq(of(&rules, 1002, 5), MAPS);
	ck_assert_uint_eq(of(&rules, 1001, 5), RIGHTS_NONE);
	ck_assert_uint_eq(of(&rules, 1003, 5), RIGHTS_NONE); /* beyond the count */
	ck_assert_uint_eq(of(&rules, 5, 1000), RIGHTS_NONE); /* a group of the same number */
}
END_TEST

START_TEST(a_rule_gives_its_right_to_the_groups_it_names_first_or_supplementary)
{
	static const struct rights_rules rules = {.of[RIGHT_MAPS].groups = {.count = 1, .id = {44}}};
	static const uint32_t in[] = {7, 44}, out[] = {7, 45};

	ck_assert_uint_eq(of(&rules, 1000, 44), MAPS);
	ck_assert_uint_eq(of(&rules, 44, 1000), RIGHTS_NONE);
	ck_assert_uint_eq(rights_of(&rules, &(struct rights_subject){1000, 1000, in, 2, NULL}), MAPS);
	ck_assert_uint_eq(rights_of(&rules, &(struct rights_subject){1000, 1000, in, 1, NULL}), RIGHTS_NONE);
	ck_assert_uint_eq(rights_of(&rules, &(struct rights_subject){1000, 1000, out, 2, NULL}), RIGHTS_NONE);
}
END_TEST

START_TEST(the_last_place_of_a_full_rule_counts)
{
	static struct rights_rules rules;
	struct right_ids *users = &rules.of[RIGHT_MAPS].users;

	for (users->count = 0; users->count < RIGHT_MAX_IDS; users->count++)
		users->id[users->count] = 2000 + users->count;
	ck_assert_uint_eq(of(&rules, 2000 + RIGHT_MAX_IDS - 1, 5), MAPS);
	ck_assert_uint_eq(of(&rules, 2000 + RIGHT_MAX_IDS, 5), RIGHTS_NONE);
}
END_TEST

START_TEST(every_right_has_a_bit_and_a_name_of_its_own)
{
	uint32_t seen = 0;

	for (unsigned right = 0; right < RIGHT_COUNT; right++) {
		ck_assert_uint_eq(seen & RIGHT_BIT(right), 0);
		seen |= RIGHT_BIT(right);
		ck_assert_uint_gt(strlen(right_name((enum right)right)), 0);
		for (unsigned other = 0; other < right; other++)
			ck_assert_str_ne(right_name((enum right)right), right_name((enum right)other));
	}
	ck_assert_uint_eq(seen, RIGHTS_ALL);
	ck_assert_str_eq(right_name(RIGHT_MAPS), "maps");
	ck_assert_str_eq(right_name(RIGHT_COUNT), "?");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rights");
	TCase *tcase = tcase_create("rights");

	tcase_add_test(tcase, without_rules_root_has_every_right_and_nobody_else_any);
	tcase_add_test(tcase, the_daemons_own_user_has_every_right);
	tcase_add_test(tcase, a_rule_gives_its_right_to_the_users_it_names);
	tcase_add_test(tcase, a_rule_gives_its_right_to_the_groups_it_names_first_or_supplementary);
	tcase_add_test(tcase, the_last_place_of_a_full_rule_counts);
	tcase_add_test(tcase, every_right_has_a_bit_and_a_name_of_its_own);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
