/* SPDX-License-Identifier: Apache-2.0 */
/* Where an idle session sits next. */
#include "daemon/policy/placement.h"

#include "tests/unit/suite.h"

#define LONG_NS PLACEMENT_STAY_NS

static struct placement device(uint32_t busy)
{
	return (struct placement){.usable = true, .alike = true, .busy = busy};
}

START_TEST(a_session_whose_device_is_its_own_stays)
{
	const struct placement devices[] = {device(0), device(0)};

	ck_assert_uint_eq(placement_choose(devices, 2, 0, LONG_NS), 0);
	ck_assert_uint_eq(placement_choose(devices, 2, 1, LONG_NS), 1);
	ck_assert_uint_eq(placement_choose(devices, 1, 0, LONG_NS), 0);
}
END_TEST

/* Who moved and who comes after it do not follow each other for ever. */
START_TEST(a_session_moves_when_the_other_device_is_a_quarter_less_busy)
{
	static const struct {
		uint32_t here, there;
		bool moves;
	} rows[] = {{1, 0, true}, {1, 1, false},  {2, 1, true},  {4, 3, true},  {5, 4, false},
		    {6, 4, true}, {10, 8, false}, {11, 8, true}, {0, 1, false}, {3, 7, false}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct placement devices[] = {device(rows[i].there), device(rows[i].here)};
		ck_assert_msg(placement_choose(devices, 2, 1, LONG_NS) == !rows[i].moves, "%u here, %u there",
			      rows[i].here, rows[i].there);
	}
}
END_TEST

START_TEST(the_least_busy_device_is_chosen_and_the_first_of_them)
{
	const struct placement devices[] = {device(2), device(9), device(1), device(1), device(3)};

	ck_assert_uint_eq(placement_choose(devices, 5, 1, LONG_NS), 2);
	ck_assert_uint_eq(placement_choose(devices, 5, 0, LONG_NS), 2);
}
END_TEST

START_TEST(who_has_just_come_stays)
{
	const struct placement devices[] = {device(9), device(0)};

	ck_assert_uint_eq(placement_choose(devices, 2, 0, LONG_NS - 1), 0);
	ck_assert_uint_eq(placement_choose(devices, 2, 0, LONG_NS), 1);
}
END_TEST

START_TEST(a_device_that_is_another_kind_or_does_not_work_is_no_choice)
{
	struct placement devices[] = {device(9), device(0), device(1), device(2)};

	devices[1].alike = false;
	devices[2].usable = false;
	ck_assert_uint_eq(placement_choose(devices, 4, 0, LONG_NS), 3);
	ck_assert_uint_eq(placement_choose(devices, 3, 0, LONG_NS), 0);
}
END_TEST

/* However short it sat there, and however busy the others are. */
START_TEST(a_device_that_went_away_is_left_at_once)
{
	struct placement devices[] = {device(0), device(9), device(7)};

	devices[0].usable = false;
	ck_assert_uint_eq(placement_choose(devices, 3, 0, 0), 2);
	devices[1].usable = devices[2].usable = false;
	ck_assert_uint_eq(placement_choose(devices, 3, 0, 0), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("placement");
	TCase *all = tcase_create("placement");

	tcase_add_test(all, a_session_whose_device_is_its_own_stays);
	tcase_add_test(all, a_session_moves_when_the_other_device_is_a_quarter_less_busy);
	tcase_add_test(all, the_least_busy_device_is_chosen_and_the_first_of_them);
	tcase_add_test(all, who_has_just_come_stays);
	tcase_add_test(all, a_device_that_is_another_kind_or_does_not_work_is_no_choice);
	tcase_add_test(all, a_device_that_went_away_is_left_at_once);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
