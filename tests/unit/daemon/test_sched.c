/* SPDX-License-Identifier: Apache-2.0 */
/* First come, first served. */
#include "daemon/policy/sched.h"
#include "tests/unit/suite.h"

START_TEST(items_run_in_order_of_arrival_per_device)
{
	struct sched *sched = sched_fifo.create(2);
	struct sched_item items[4] = {
	    {.session = 1, .device = 0, .arrival = 1},
	    {.session = 2, .device = 0, .arrival = 2},
	    {.session = 1, .device = 1, .arrival = 3},
	    {.session = 1, .device = 0, .arrival = 4},
	};

	ck_assert_ptr_nonnull(sched);
	for (int i = 0; i < 4; i++)
		sched_fifo.enqueue(sched, &items[i], 0);
	/* attached or not, the first comes first */
	ck_assert_ptr_eq(sched_fifo.pick_next(sched, 0, 2, 0), &items[0]);
	ck_assert_ptr_eq(sched_fifo.pick_next(sched, 0, 2, 0), &items[0]);
	ck_assert_ptr_eq(sched_fifo.pick_of(sched, 0, 2, 0), &items[1]);
	ck_assert_ptr_null(sched_fifo.pick_of(sched, 1, 2, 0));
	ck_assert_ptr_null(sched_fifo.pick_of(sched, 7, 1, 0));
	sched_fifo.dispatched(sched, &items[0], 0);
	ck_assert_ptr_eq(sched_fifo.pick_of(sched, 0, 1, 0), &items[3]);
	ck_assert_ptr_eq(sched_fifo.pick_next(sched, 0, 1, 0), &items[1]);
	ck_assert_ptr_eq(sched_fifo.pick_next(sched, 1, 0, 0), &items[2]);
	/* what comes back from a recovery keeps its place */
	sched_fifo.enqueue(sched, &items[0], 0);
	ck_assert_ptr_eq(sched_fifo.pick_next(sched, 0, 1, 0), &items[0]);
	sched_fifo.remove(sched, &items[0]);
	sched_fifo.remove(sched, &items[0]);
	sched_fifo.remove(sched, &items[1]);
	ck_assert_ptr_eq(sched_fifo.pick_next(sched, 0, 1, 0), &items[3]);
	sched_fifo.remove(sched, &items[3]);
	ck_assert_ptr_null(sched_fifo.pick_next(sched, 0, 1, 0));
	ck_assert_ptr_null(sched_fifo.pick_next(sched, 7, 1, 0));
	sched_fifo.remove(sched, &items[2]);
	sched_fifo.destroy(sched);
}
END_TEST

START_TEST(an_item_is_queued_at_most_once)
{
	struct sched *sched = sched_fifo.create(1);
	struct sched_item item = {.arrival = 1};

	sched_fifo.enqueue(sched, &item, 0);
	sched_fifo.enqueue(sched, &item, 0);
	sched_fifo.dispatched(sched, &item, 0);
	ck_assert_ptr_null(sched_fifo.pick_next(sched, 0, 0, 0));
	sched_fifo.destroy(sched);
}
END_TEST

START_TEST(policies_are_found_by_name)
{
	ck_assert_ptr_eq(sched_by_name("fifo"), &sched_fifo);
	ck_assert_ptr_null(sched_by_name("FIFO"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sched");
	TCase *tcase = tcase_create("sched");

	tcase_add_test(tcase, items_run_in_order_of_arrival_per_device);
	tcase_add_test(tcase, an_item_is_queued_at_most_once);
	tcase_add_test(tcase, policies_are_found_by_name);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
