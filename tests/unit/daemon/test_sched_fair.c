/* SPDX-License-Identifier: Apache-2.0 */
/* The policy "fair": how tags share the time, in exact numbers. */
#include "tests/unit/daemon/sched_world.h"

static const struct sched_params PLAIN = {.devices = 2};

START_TEST(device_time_is_shared_and_not_the_number_of_items)
{
	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_all(1, 100, SCHED_NORMAL);
	for (int i = 0; i < 3; i++)
		submit(0, 4000);
	for (int i = 0; i < 12; i++)
		submit(1, 1000);
	/* tags 0/0 → 40/0 → 40/40, the one that waits for longer first */
	expect_runs("011110111101111");
	world_end();
}
END_TEST

START_TEST(weights_divide_the_time)
{
	world_begin(&PLAIN);
	open_all(0, 1, SCHED_NORMAL);
	open_all(1, 2, SCHED_NORMAL);
	open_all(2, 4, SCHED_NORMAL);
	for (int i = 0; i < 9; i++)
		for (unsigned queue = 0; queue < 3; queue++)
			submit(queue, 4);
	/* starts at 0 4 8 / 0 2 4 6 8 / 0 1 2 3 4 …, and of those that are equal the one that waits for longer */
	expect_runs("012212201221220");
	world_end();
}
END_TEST

START_TEST(a_tenant_of_many_sessions_gets_the_share_of_one)
{
	unsigned runs[4] = {0};

	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_tenant(1, 100, 0);
	for (unsigned i = 1; i < 4; i++) {
		open_session(i, 1, 100);
		open_queue(i, i, SCHED_NORMAL, 100);
	}
	for (int i = 0; i < 12; i++)
		for (unsigned queue = 0; queue < 4; queue++)
			submit(queue, 100);
	for (int i = 0; i < 12; i++)
		runs[run()]++;
	ck_assert_uint_eq(runs[0], 6);
	for (int i = 1; i < 4; i++)
		ck_assert_uint_eq(runs[i], 2);
	world_end();
}
END_TEST

START_TEST(queues_of_a_session_share_by_their_weights)
{
	world_begin(&PLAIN);
	open_tenant(0, 100, 0);
	open_session(0, 0, 100);
	open_queue(0, 0, SCHED_NORMAL, 1);
	open_queue(1, 0, SCHED_NORMAL, 3);
	for (int i = 0; i < 6; i++) {
		submit(0, 3);
		submit(1, 3);
	}
	expect_runs("01110111");
	world_end();
}
END_TEST

START_TEST(what_was_measured_is_charged_and_not_what_was_estimated)
{
	struct sched_item *item;

	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_all(1, 100, SCHED_NORMAL);
	for (int i = 0; i < 4; i++) {
		submit(0, 100);
		submit(1, 1000);
	}
	ck_assert_int_eq(start(&item), 0);
	sched_fair.completed(sched, item, 3000, now);
	/* 30 against 0, 10, 20 */
	expect_runs("111");
	ck_assert_int_eq(run(), 0);
	world_end();
}
END_TEST

START_TEST(an_item_that_comes_back_from_the_device_costs_nothing)
{
	struct sched_item *first, *second;

	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_all(1, 100, SCHED_NORMAL);
	submit(0, 1000);
	submit(0, 1000);
	submit(1, 1000);
	ck_assert_int_eq(start(&first), 0);
	ck_assert_int_eq(start(&second), 1);
	sched_fair.remove(sched, first, now);
	sched_fair.enqueue(sched, first, now);
	sched_fair.completed(sched, second, 1000, now);
	/* Before the second of its queue, and before a tenant that has been served. */
	ck_assert_ptr_eq(sched_fair.pick_next(sched, 0, 0, now), first);
	expect_runs("00");
	submit(1, 1000);
	submit(0, 1000);
	/* 2 × 1000 and 1 × 1000 were charged, nothing else */
	expect_runs("10");
	world_end();
}
END_TEST

START_TEST(who_slept_has_no_claim)
{
	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_all(1, 100, SCHED_NORMAL);
	for (int i = 0; i < 20; i++)
		submit(0, 1000);
	expect_runs("0000000000");
	for (int i = 0; i < 10; i++)
		submit(1, 1000);
	/* From now on, one for one. */
	expect_runs("1010101010");
	world_end();
}
END_TEST

START_TEST(who_took_much_has_paid_when_the_device_was_idle_since)
{
	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_all(1, 100, SCHED_NORMAL);
	submit(0, 100000);
	submit(1, 1000);
	expect_runs("01");
	/* The end of a busy period: both begin again at the largest finish. */
	for (int i = 0; i < 4; i++) {
		submit(0, 1000);
		submit(1, 1000);
	}
	expect_runs("0101");
	world_end();
}
END_TEST

START_TEST(who_took_much_still_owes_while_others_have_work)
{
	struct sched_item *item;

	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_all(1, 100, SCHED_NORMAL);
	for (int i = 0; i < 8; i++)
		submit(1, 1000);
	submit(0, 100);
	expect_runs("1");
	ck_assert_int_eq(start(&item), 0);
	sched_fair.completed(sched, item, 3000, now);
	submit(0, 100);
	/* 10 20 30 against 30 */
	expect_runs("110");
	world_end();
}
END_TEST

START_TEST(a_tenant_owes_until_the_others_have_caught_up)
{
	struct sched_item *item;

	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_all(1, 100, SCHED_NORMAL);
	ck_assert(!sched_fair.tenant_owes(sched, &tenants[0], now));
	submit(0, 3000);
	for (int i = 0; i < 5; i++)
		submit(1, 1000);
	ck_assert_int_eq(start(&item), 0);
	ck_assert(sched_fair.tenant_owes(sched, &tenants[0], now));
	sched_fair.completed(sched, item, 3000, now);
	/* 30 against 0, 10, 20; the one that starts at 30 makes them even. */
	expect_runs("111");
	ck_assert(sched_fair.tenant_owes(sched, &tenants[0], now));
	expect_runs("1");
	ck_assert(!sched_fair.tenant_owes(sched, &tenants[0], now));
	/* Nobody owes anything on an idle device. */
	submit(0, 9000);
	expect_runs("01");
	ck_assert(!sched_fair.tenant_owes(sched, &tenants[0], now));
	world_end();
}
END_TEST

START_TEST(nothing_is_lost_in_rounding)
{
	struct sched_item *item;
	uint64_t served[2] = {0};

	world_begin(&PLAIN);
	open_all(0, 997, SCHED_NORMAL);
	open_all(1, 1000, SCHED_NORMAL);
	for (unsigned i = 0; i < 2; i++) {
		submit(i, 7);
		submit(i, 7);
	}
	/* Items a hundredth of the weight long: each charge alone rounds to nothing. */
	for (int i = 0; i < 1997 * 100; i++) {
		int queue = start(&item);
		served[queue] += 7;
		sched_fair.completed(sched, item, 7, now);
		sched_fair.enqueue(sched, item, now);
	}
	ck_assert_uint_ge(served[0], 997 * 700 - 1000);
	ck_assert_uint_le(served[0], 997 * 700 + 1000);
	world_end();
}
END_TEST

START_TEST(charging_and_taking_back_ends_where_it_began)
{
	world_begin(&PLAIN);
	open_all(0, 7, SCHED_NORMAL);
	struct sched_item *item = submit(0, 1000003);
	const struct sched_node before = sessions[0].own.nodes[SCHED_NORMAL];

	for (int i = 0; i < 1000; i++) {
		sched_fair.dispatched(sched, item, now);
		sched_fair.remove(sched, item, now);
		sched_fair.enqueue(sched, item, now);
	}
	const struct sched_node *after = &sessions[0].own.nodes[SCHED_NORMAL];
	ck_assert_uint_eq(after->tag, before.tag);
	ck_assert_uint_eq(after->rest, before.rest);
	ck_assert_uint_eq(after->waiting, 1);
	ck_assert_uint_eq(after->running, 0);
	world_end();
}
END_TEST

START_TEST(a_change_of_session_is_charged_to_the_session_that_it_is_for)
{
	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_all(1, 100, SCHED_NORMAL);
	for (int i = 0; i < 8; i++) {
		submit(0, 1000);
		submit(1, 1000);
	}
	sched_fair.charge(sched, &sessions[0], SCHED_NORMAL, 2500, now);
	/* 25 against 0, 10, 20 */
	expect_runs("1110");
	world_end();
}
END_TEST

START_TEST(order_inside_a_queue_never_changes)
{
	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	struct sched_item *a = submit(0, 100);
	struct sched_item *b = submit_until(0, 100, 5000);
	struct sched_item *c = submit_until(0, 100, 1000);

	sched_fair.queue_change(sched, &queues[0], SCHED_HIGH, 700, now);
	ck_assert_ptr_eq(sched_fair.pick_next(sched, 0, 0, now), a);
	sched_fair.dispatched(sched, a, now);
	ck_assert_ptr_eq(sched_fair.pick_next(sched, 0, 0, now), b);
	sched_fair.remove(sched, a, now);
	sched_fair.enqueue(sched, a, now);
	ck_assert_ptr_eq(sched_fair.pick_next(sched, 0, 0, now), a);
	expect_runs("00");
	ck_assert_ptr_eq(sched_fair.pick_next(sched, 0, 0, now), c);
	world_end();
}
END_TEST

START_TEST(a_queue_changes_its_class_with_everything_that_waits)
{
	struct sched_item *running;

	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_all(1, 100, SCHED_NORMAL);
	for (int i = 0; i < 4; i++) {
		submit(0, 1000);
		submit(1, 1000);
	}
	ck_assert_int_eq(start(&running), 0);
	sched_fair.queue_change(sched, &queues[1], SCHED_HIGH, 100, now);
	sched_fair.queue_change(sched, &queues[0], SCHED_IDLE, 100, now);
	expect_runs("1111");
	/* It was charged where it started. */
	sched_fair.completed(sched, running, 1000, now);
	ck_assert_uint_eq(sessions[0].own.nodes[SCHED_NORMAL].running, 0);
	ck_assert_uint_eq(sessions[0].own.nodes[SCHED_IDLE].waiting, 3);
	expect_runs("000");
	world_end();
}
END_TEST

START_TEST(a_session_moves_to_another_device)
{
	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_all(1, 100, SCHED_NORMAL);
	sched_fair.session_move(sched, &sessions[1], 1);
	submit(0, 100);
	struct sched_item *item = submit(1, 100);
	ck_assert_ptr_eq(sched_fair.pick_next(sched, 1, 0, now), item);
	expect_runs("0");
	ck_assert_ptr_null(sched_fair.pick_next(sched, 0, 0, now));
	sched_fair.remove(sched, item, now);
	sched_fair.session_move(sched, &sessions[1], 0);
	submit(1, 100);
	expect_runs("1");
	ck_assert_ptr_null(sched_fair.pick_next(sched, 2, 0, now));
	world_end();
}
END_TEST

START_TEST(the_next_of_a_session_is_of_no_worse_class_than_the_next)
{
	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_all(1, 100, SCHED_NORMAL);
	submit(0, 1000);
	struct sched_item *own = submit(1, 1000);
	ck_assert_ptr_eq(sched_fair.pick_of(sched, &sessions[1], now), own);
	sched_fair.queue_change(sched, &queues[0], SCHED_REALTIME, 100, now);
	ck_assert_ptr_null(sched_fair.pick_of(sched, &sessions[1], now));
	sched_fair.queue_change(sched, &queues[0], SCHED_IDLE, 100, now);
	ck_assert_ptr_eq(sched_fair.pick_of(sched, &sessions[1], now), own);
	sched_fair.remove(sched, own, now);
	ck_assert_ptr_null(sched_fair.pick_of(sched, &sessions[1], now));
	world_end();
}
END_TEST

START_TEST(an_item_is_in_one_place_only)
{
	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	struct sched_item *item = submit(0, 100);
	sched_fair.enqueue(sched, item, now);
	sched_fair.dispatched(sched, item, now);
	sched_fair.dispatched(sched, item, now);
	ck_assert_uint_eq(queues[0].own.node.running, 1);
	sched_fair.completed(sched, item, 100, now);
	sched_fair.completed(sched, item, 100, now);
	sched_fair.remove(sched, item, now);
	ck_assert_uint_eq(queues[0].own.node.running, 0);
	ck_assert_uint_eq(queues[0].own.node.waiting, 0);
	ck_assert_ptr_null(sched_fair.pick_next(sched, 0, 0, now));
	world_end();
}
END_TEST

START_TEST(estimates_of_any_size_are_harmless)
{
	world_begin(&PLAIN);
	open_all(0, 1, SCHED_NORMAL);
	open_all(1, 1000, SCHED_NORMAL);
	for (int i = 0; i < 3; i++) {
		submit(0, UINT64_MAX);
		submit(1, UINT64_MAX / 2);
	}
	for (int i = 0; i < 3; i++) {
		struct sched_item *item;
		ck_assert_int_eq(start(&item), i == 0 ? 0 : 1);
		sched_fair.completed(sched, item, UINT64_MAX, now);
	}
	world_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sched_fair");
	TCase *tcase = tcase_create("sched_fair");

	tcase_add_test(tcase, device_time_is_shared_and_not_the_number_of_items);
	tcase_add_test(tcase, weights_divide_the_time);
	tcase_add_test(tcase, a_tenant_of_many_sessions_gets_the_share_of_one);
	tcase_add_test(tcase, queues_of_a_session_share_by_their_weights);
	tcase_add_test(tcase, what_was_measured_is_charged_and_not_what_was_estimated);
	tcase_add_test(tcase, an_item_that_comes_back_from_the_device_costs_nothing);
	tcase_add_test(tcase, who_slept_has_no_claim);
	tcase_add_test(tcase, who_took_much_has_paid_when_the_device_was_idle_since);
	tcase_add_test(tcase, who_took_much_still_owes_while_others_have_work);
	tcase_add_test(tcase, a_tenant_owes_until_the_others_have_caught_up);
	tcase_add_test(tcase, nothing_is_lost_in_rounding);
	tcase_add_test(tcase, charging_and_taking_back_ends_where_it_began);
	tcase_add_test(tcase, a_change_of_session_is_charged_to_the_session_that_it_is_for);
	tcase_add_test(tcase, order_inside_a_queue_never_changes);
	tcase_add_test(tcase, a_queue_changes_its_class_with_everything_that_waits);
	tcase_add_test(tcase, a_session_moves_to_another_device);
	tcase_add_test(tcase, the_next_of_a_session_is_of_no_worse_class_than_the_next);
	tcase_add_test(tcase, an_item_is_in_one_place_only);
	tcase_add_test(tcase, estimates_of_any_size_are_harmless);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
