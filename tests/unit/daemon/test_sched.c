/* SPDX-License-Identifier: Apache-2.0 */
/* First come, first served. */
#include "daemon/policy/sched.h"
#include "tests/unit/suite.h"

START_TEST(items_run_in_order_of_arrival_per_device)
{
	struct sched *sched = sched_fifo.create(&(struct sched_params){.devices = 2});
	struct sched_session sessions[3] = {{.id = 1}, {.id = 2}, {.id = 3, .device = 1}}, other = {.device = 7};
	struct sched_queue queues[3] = {
	    {.session = &sessions[0]}, {.session = &sessions[1]}, {.session = &sessions[2]}};
	struct sched_item items[4] = {
	    {.queue = &queues[0], .arrival = 1},
	    {.queue = &queues[1], .arrival = 2},
	    {.queue = &queues[2], .arrival = 3},
	    {.queue = &queues[0], .arrival = 4},
	};

	ck_assert_ptr_nonnull(sched);
	for (int i = 0; i < 4; i++)
		sched_fifo.enqueue(sched, &items[i], 0);
	/* attached or not, the first comes first */
	ck_assert_ptr_eq(sched_fifo.pick_next(sched, 0, 2, 0), &items[0]);
	ck_assert_ptr_eq(sched_fifo.pick_next(sched, 0, 2, 0), &items[0]);
	ck_assert_ptr_eq(sched_fifo.pick_of(sched, &sessions[1], 0), &items[1]);
	ck_assert_ptr_null(sched_fifo.pick_of(sched, &other, 0));
	sched_fifo.dispatched(sched, &items[0], 0);
	ck_assert_ptr_eq(sched_fifo.pick_of(sched, &sessions[0], 0), &items[3]);
	ck_assert_ptr_eq(sched_fifo.pick_next(sched, 0, 1, 0), &items[1]);
	ck_assert_ptr_eq(sched_fifo.pick_next(sched, 1, 0, 0), &items[2]);
	/* what comes back from a recovery keeps its place */
	sched_fifo.remove(sched, &items[0], 0);
	sched_fifo.enqueue(sched, &items[0], 0);
	ck_assert_ptr_eq(sched_fifo.pick_next(sched, 0, 1, 0), &items[0]);
	sched_fifo.remove(sched, &items[0], 0);
	sched_fifo.remove(sched, &items[0], 0);
	sched_fifo.remove(sched, &items[1], 0);
	ck_assert_ptr_eq(sched_fifo.pick_next(sched, 0, 1, 0), &items[3]);
	sched_fifo.remove(sched, &items[3], 0);
	ck_assert_ptr_null(sched_fifo.pick_next(sched, 0, 1, 0));
	ck_assert_ptr_null(sched_fifo.pick_next(sched, 7, 1, 0));
	sched_fifo.remove(sched, &items[2], 0);
	sched_fifo.destroy(sched);
}
END_TEST

START_TEST(an_item_is_queued_at_most_once)
{
	struct sched *sched = sched_fifo.create(&(struct sched_params){.devices = 1});
	struct sched_session session = {.id = 1};
	struct sched_queue queue = {.session = &session};
	struct sched_item item = {.queue = &queue, .arrival = 1};

	sched_fifo.enqueue(sched, &item, 0);
	sched_fifo.enqueue(sched, &item, 0);
	sched_fifo.dispatched(sched, &item, 0);
	ck_assert_ptr_null(sched_fifo.pick_next(sched, 0, 0, 0));
	sched_fifo.destroy(sched);
}
END_TEST

START_TEST(an_item_that_cannot_meet_its_deadline_is_found_when_that_is_certain)
{
	struct sched *sched = sched_fifo.create(&(struct sched_params){.devices = 1});
	struct sched_session session = {.id = 1};
	struct sched_queue queue = {.session = &session};
	struct sched_item items[2] = {
	    {.queue = &queue, .arrival = 1, .estimate_ns = 30},
	    {.queue = &queue, .arrival = 2, .estimate_ns = 30, .deadline_ns = 100},
	};

	ck_assert_uint_eq(sched_fifo.next_change(sched, 0, 0), UINT64_MAX);
	sched_fifo.enqueue(sched, &items[0], 0);
	sched_fifo.enqueue(sched, &items[1], 0);
	ck_assert_ptr_null(sched_fifo.pick_late(sched, 0, 70));
	ck_assert_uint_eq(sched_fifo.next_change(sched, 0, 0), 71);
	ck_assert_ptr_eq(sched_fifo.pick_late(sched, 0, 71), &items[1]);
	sched_fifo.remove(sched, &items[1], 71);
	ck_assert_ptr_null(sched_fifo.pick_late(sched, 0, 71));
	sched_fifo.destroy(sched);
}
END_TEST

START_TEST(who_is_ahead_is_counted_by_class_and_tenant)
{
	struct sched *sched = sched_fifo.create(&(struct sched_params){.devices = 1});
	struct sched_tenant tenants[2];
	struct sched_session sessions[2] = {{.tenant = &tenants[0]}, {.tenant = &tenants[1]}};
	struct sched_queue queues[2] = {{.session = &sessions[0], .class = SCHED_HIGH},
					{.session = &sessions[1], .class = SCHED_NORMAL}};
	struct sched_item items[3] = {
	    {.queue = &queues[0], .arrival = 1, .estimate_ns = 5},
	    {.queue = &queues[1], .arrival = 2, .estimate_ns = 7},
	    {.queue = &queues[1], .arrival = 3},
	};
	struct sched_why why;

	for (int i = 0; i < 3; i++)
		sched_fifo.enqueue(sched, &items[i], 0);
	sched_fifo.explain(sched, &items[2], 0, &why);
	ck_assert_uint_eq(why.position, 2);
	ck_assert_uint_eq(why.ahead[SCHED_HIGH], 1);
	ck_assert_uint_eq(why.ahead[SCHED_NORMAL], 1);
	ck_assert_uint_eq(why.ahead_of_tenant, 1);
	ck_assert_uint_eq(why.ahead_ns, 12);
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
	tcase_add_test(tcase, an_item_that_cannot_meet_its_deadline_is_found_when_that_is_certain);
	tcase_add_test(tcase, who_is_ahead_is_counted_by_class_and_tenant);
	tcase_add_test(tcase, policies_are_found_by_name);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
