/* SPDX-License-Identifier: Apache-2.0 */
/* The recovery ladder on paper: which rung comes next, what each has cost, which NPU has which. */
#include "daemon/npu/npu.h"
#include "daemon/policy/recovery.h"
#include "proto/zhouyi_regs.h"
#include "tests/unit/suite.h"

#define ALL_RUNGS 0xfu

static void assert_count(const struct recovery *recovery, enum recovery_rung rung, const struct recovery_count *wanted)
{
	const struct recovery_count *count = &recovery->count[rung];

	ck_assert_uint_eq(count->attempts, wanted->attempts);
	ck_assert_uint_eq(count->failures, wanted->failures);
	ck_assert_uint_eq(count->total_ns, wanted->total_ns);
	ck_assert_uint_eq(count->last_ns, wanted->last_ns);
}

#define ASSERT_COUNT(recovery_, rung_, ...) assert_count(recovery_, rung_, &(struct recovery_count){__VA_ARGS__})

START_TEST(a_rung_that_fails_leads_to_the_next_that_the_device_has)
{
	struct recovery recovery = {0};

	ck_assert_int_eq(recovery_begin(&recovery, ALL_RUNGS, RECOVERY_ABORT, 0), RECOVERY_ABORT);
	ck_assert_int_eq(recovery_next(&recovery, -5, 0), RECOVERY_SOFT_RESET);
	ck_assert_int_eq(recovery_next(&recovery, -5, 0), RECOVERY_TRANSPORT_RESET);
	ck_assert_int_eq(recovery_next(&recovery, -5, 0), RECOVERY_REOPEN);
	ck_assert_int_eq(recovery_next(&recovery, -5, 0), RECOVERY_OFFLINE);
	ck_assert_int_eq(recovery_next(&recovery, -5, 0), RECOVERY_DONE);
	ck_assert_int_eq(recovery_begin(&recovery, 1u << RECOVERY_ABORT, RECOVERY_ABORT, 0), RECOVERY_ABORT);
	ck_assert_int_eq(recovery_next(&recovery, -5, 0), RECOVERY_OFFLINE);
	ck_assert_int_eq(recovery_begin(&recovery, ALL_RUNGS, RECOVERY_SOFT_RESET, 0), RECOVERY_SOFT_RESET);
	ck_assert_int_eq(recovery_next(&recovery, 0, 0), RECOVERY_DONE);
	ck_assert_int_eq(recovery_begin(&recovery, 0, RECOVERY_ABORT, 0), RECOVERY_OFFLINE);
	ck_assert_str_eq(recovery_rung_name(RECOVERY_REOPEN), "reopen");
	ck_assert_str_eq(recovery_rung_name(RECOVERY_DONE), "done");
}
END_TEST

START_TEST(every_rung_is_timed_and_counted)
{
	struct recovery recovery = {0};

	(void)recovery_begin(&recovery, ALL_RUNGS, RECOVERY_ABORT, 1000);
	ASSERT_COUNT(&recovery, RECOVERY_ABORT, 1, 0, 0, 0);
	(void)recovery_next(&recovery, -16, 1070);
	(void)recovery_next(&recovery, 0, 1370);
	ASSERT_COUNT(&recovery, RECOVERY_ABORT, 1, 1, 70, 70);
	ASSERT_COUNT(&recovery, RECOVERY_SOFT_RESET, 1, 0, 300, 300);
	ASSERT_COUNT(&recovery, RECOVERY_TRANSPORT_RESET, 0, 0, 0, 0);
	ck_assert_uint_eq(recovery_climb_ns(&recovery, 1370), 370);
	(void)recovery_begin(&recovery, ALL_RUNGS, RECOVERY_ABORT, 5000);
	(void)recovery_next(&recovery, 0, 5011);
	ASSERT_COUNT(&recovery, RECOVERY_ABORT, 2, 1, 81, 11);
	ck_assert_uint_eq(recovery_climb_ns(&recovery, 5011), 11);
}
END_TEST

START_TEST(a_device_that_leaves_during_a_rung_ends_the_climb)
{
	struct recovery recovery = {0};

	recovery_give_up(&recovery, 5);
	ASSERT_COUNT(&recovery, RECOVERY_ABORT, 0, 0, 0, 0);
	(void)recovery_begin(&recovery, ALL_RUNGS, RECOVERY_REOPEN, 10);
	recovery_give_up(&recovery, 14);
	recovery_give_up(&recovery, 99);
	ASSERT_COUNT(&recovery, RECOVERY_REOPEN, 1, 1, 4, 4);
	ASSERT_COUNT(&recovery, RECOVERY_OFFLINE, 0, 0, 0, 0);
	ck_assert_int_eq(recovery_next(&recovery, -5, 100), RECOVERY_DONE);
}
END_TEST

/* The table of docs/hardware/sequences.md. */
START_TEST(each_npu_has_the_ladder_that_its_generation_can_climb)
{
	static const struct {
		uint32_t revision;
		bool abort, soft_reset;
	} npus[] = {{ZY_REVISION_Z1, false, false},    {ZY_REVISION_Z2, false, false},
		    {ZY_REVISION_Z3, false, false},    {ZY_REVISION_X1, false, true},
		    {ZY_REVISION_X2_R0P2, true, true}, {ZY_REVISION_X2_R0P3, true, true},
		    {ZY_REVISION_X3P, true, true},     {ZY_REVISION_X3S, true, true}};

	for (size_t i = 0; i < sizeof(npus) / sizeof(npus[0]); i++) {
		unsigned rungs = npu_ladder(npus[i].revision);
		ck_assert_uint_eq(rungs >> NPU_RUNG_ABORT & 1, npus[i].abort);
		ck_assert_uint_eq(rungs >> NPU_RUNG_SOFT_RESET & 1, npus[i].soft_reset);
		ck_assert_uint_eq(rungs >> NPU_RUNG_VFIO_RESET & 1, 1);
	}
	ck_assert_uint_eq(npu_ladder(0xffffffff), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ladder");
	TCase *tcase = tcase_create("ladder");

	tcase_add_test(tcase, a_rung_that_fails_leads_to_the_next_that_the_device_has);
	tcase_add_test(tcase, every_rung_is_timed_and_counted);
	tcase_add_test(tcase, a_device_that_leaves_during_a_rung_ends_the_climb);
	tcase_add_test(tcase, each_npu_has_the_ladder_that_its_generation_can_climb);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
