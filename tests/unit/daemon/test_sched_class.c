/* SPDX-License-Identifier: Apache-2.0 */
/* The policy "fair": classes and their remainders, ageing, deadlines, limits of time, and why an item waits. */
#include "tests/unit/daemon/sched_world.h"

#define MS 1000000ull

static const struct sched_params PLAIN = {.devices = 1};

/* ------------------------------------------------------------------ classes */

START_TEST(better_classes_go_first)
{
	world_begin(&PLAIN);
	for (unsigned i = 0; i < SCHED_CLASSES; i++)
		open_all(i, 100, (enum sched_class)i);
	for (unsigned i = SCHED_CLASSES; i-- > 0;) {
		submit(i, 100);
		submit(i, 100);
	}
	expect_runs("00112233");
	world_end();
}
END_TEST

START_TEST(a_class_gets_its_remainder_exactly)
{
	const struct sched_params params = {.devices = 1, .remainder = {0, 0, 100, 50}};
	unsigned runs[3] = {0};

	world_begin(&params);
	open_all(0, 100, SCHED_HIGH);
	open_all(1, 100, SCHED_NORMAL);
	open_all(2, 100, SCHED_IDLE);
	for (unsigned i = 0; i < 3; i++) {
		submit(i, 10 * MS);
		submit(i, 10 * MS);
	}
	for (int i = 0; i < 1000; i++) {
		struct sched_item *item;
		runs[start(&item)]++;
		now += 10 * MS;
		sched_fair.completed(sched, item, 10 * MS, now);
		sched_fair.enqueue(sched, item, now);
	}
	/* The last one may still be earned. */
	ck_assert_uint_eq(runs[1], 99);
	ck_assert_uint_eq(runs[2], 49);
	ck_assert_uint_eq(runs[0], 852);
	world_end();
}
END_TEST

START_TEST(a_remainder_is_earned_before_it_is_spent_and_lost_with_the_work)
{
	const struct sched_params params = {.devices = 1, .remainder = {0, 0, 200, 0}};

	world_begin(&params);
	open_all(0, 100, SCHED_HIGH);
	open_all(1, 100, SCHED_NORMAL);
	for (int i = 0; i < 20; i++)
		submit(0, 10);
	struct sched_item *waits = submit(1, 10);
	expect_runs("0000");
	sched_fair.remove(sched, waits, now);
	sched_fair.enqueue(sched, waits, now);
	/* Begins again: five times 200 permille of 10. */
	expect_runs("000001");
	world_end();
}
END_TEST

START_TEST(a_class_earns_only_while_it_waits)
{
	const struct sched_params params = {.devices = 1, .remainder = {0, 0, 500, 0}};
	struct sched_item *item;

	world_begin(&params);
	open_all(0, 100, SCHED_HIGH);
	open_all(1, 100, SCHED_NORMAL);
	for (int i = 0; i < 6; i++)
		submit(0, 100);
	ck_assert_int_eq(start(&item), 0);
	now += 90;
	/* Came for the last tenth of what ran. */
	submit(1, 50);
	now += 10;
	sched_fair.completed(sched, item, 100, now);
	expect_runs("01");
	world_end();
}
END_TEST

START_TEST(time_that_nobody_better_wanted_makes_no_debt)
{
	const struct sched_params params = {.devices = 1, .remainder = {0, 0, 500, 0}};

	world_begin(&params);
	open_all(0, 100, SCHED_HIGH);
	open_all(1, 100, SCHED_NORMAL);
	for (int i = 0; i < 10; i++)
		submit(1, 100);
	expect_runs("11111");
	for (int i = 0; i < 4; i++)
		submit(0, 100);
	expect_runs("0010101");
	world_end();
}
END_TEST

START_TEST(a_debt_is_not_forgiven_for_time_that_nobody_wanted)
{
	const struct sched_params params = {.devices = 1, .remainder = {0, 0, 500, 0}};
	struct sched_item *item;

	world_begin(&params);
	open_all(0, 100, SCHED_HIGH);
	open_all(1, 100, SCHED_NORMAL);
	for (int i = 0; i < 3; i++)
		submit(0, 100);
	for (int i = 0; i < 4; i++)
		submit(1, 100);
	expect_runs("00");
	ck_assert_int_eq(start(&item), 1);
	now += 500;
	sched_fair.completed(sched, item, 500, now);
	/* 150 owed, 50 of them earned with the next; then the device is its own for a while. */
	expect_runs("01");
	for (int i = 0; i < 5; i++)
		submit(0, 100);
	expect_runs("00001");
	world_end();
}
END_TEST

START_TEST(an_item_that_took_longer_than_its_class_had_earned_is_paid_for_later)
{
	const struct sched_params params = {.devices = 1, .remainder = {0, 0, 500, 0}};
	struct sched_item *item;

	world_begin(&params);
	open_all(0, 100, SCHED_HIGH);
	open_all(1, 100, SCHED_NORMAL);
	for (int i = 0; i < 12; i++)
		submit(0, 100);
	for (int i = 0; i < 3; i++)
		submit(1, 100);
	expect_runs("00");
	ck_assert_int_eq(start(&item), 1);
	now += 300;
	sched_fair.completed(sched, item, 300, now);
	/* 100 earned, 300 spent, 150 earned meanwhile: 50 owed, 100 to earn: three times 50. */
	expect_runs("0001");
	world_end();
}
END_TEST

/* ------------------------------------------------------------------ ageing */

START_TEST(who_waited_too_long_is_next_but_not_twice_in_a_row)
{
	const struct sched_params params = {.devices = 1, .ageing_ns = 500};

	world_begin(&params);
	open_all(0, 1, SCHED_NORMAL);
	open_all(1, 1, SCHED_NORMAL);
	open_all(2, 1000, SCHED_NORMAL);
	for (int i = 0; i < 3; i++) {
		submit(0, 100);
		submit(1, 100);
	}
	for (int i = 0; i < 20; i++)
		submit(2, 100);
	/* By their weights 0 and 1 would come again after a thousand. */
	expect_runs("012220212202122");
	world_end();
}
END_TEST

START_TEST(ageing_does_not_move_the_virtual_time)
{
	const struct sched_params params = {.devices = 1, .ageing_ns = 500};

	world_begin(&params);
	open_all(0, 1, SCHED_NORMAL);
	open_all(1, 1000, SCHED_NORMAL);
	open_all(2, 1000, SCHED_NORMAL);
	for (int i = 0; i < 4; i++)
		submit(0, 10000);
	for (int i = 0; i < 12; i++)
		submit(1, 100000);
	expect_runs("0101010");
	/* A newcomer begins where weights have come to, not where the aged one was put. */
	for (int i = 0; i < 2; i++)
		submit(2, 100000);
	expect_runs("2121");
	world_end();
}
END_TEST

START_TEST(no_weight_of_at_least_the_mean_is_served_out_of_turn)
{
	const struct sched_params params = {.devices = 1, .ageing_ns = 500};

	world_begin(&params);
	for (unsigned i = 0; i < 3; i++)
		open_all(i, 100, SCHED_NORMAL);
	for (int i = 0; i < 3; i++)
		submit(0, 4000);
	for (int i = 0; i < 12; i++) {
		submit(1, 1000);
		submit(2, 1000);
	}
	/* All wait for longer than 500, and each gets its turn. */
	expect_runs("012121212012121212");
	world_end();
}
END_TEST

START_TEST(who_was_served_out_of_turn_owes_for_one_item)
{
	const struct sched_params params = {.devices = 1, .ageing_ns = 500};

	world_begin(&params);
	open_all(0, 1, SCHED_NORMAL);
	open_all(1, 1000, SCHED_NORMAL);
	open_all(2, 1, SCHED_NORMAL);
	for (int i = 0; i < 10; i++)
		submit(0, 1000);
	for (int i = 0; i < 4; i++)
		submit(1, 2000);
	expect_runs("01010101");
	/* The heavy one has left, and another light one comes: four items ahead would be four of its items. */
	for (int i = 0; i < 4; i++)
		submit(2, 1000);
	expect_runs("202020");
	world_end();
}
END_TEST

/* ------------------------------------------------------------------ deadlines */

START_TEST(deadlines_rule_inside_a_session_and_not_between_tenants)
{
	world_begin(&PLAIN);
	open_tenant(0, 100, 0);
	open_session(0, 0, 100);
	for (unsigned i = 0; i < 3; i++)
		open_queue(i, 0, SCHED_NORMAL, 100);
	open_all(3, 100, SCHED_NORMAL);
	submit(0, 100);
	submit_until(1, 100, 9000);
	submit_until(1, 100, 100000);
	submit_until(2, 100, 5000);
	submit(3, 100);
	submit(3, 100);
	submit(3, 100);
	expect_runs("2313130");
	world_end();
}
END_TEST

START_TEST(what_is_late_is_found_and_when)
{
	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_all(1, 100, SCHED_NORMAL);
	ck_assert_uint_eq(sched_fair.next_change(sched, 0, now), UINT64_MAX);
	ck_assert_uint_eq(sched_fair.next_change(sched, 7, now), UINT64_MAX);
	submit(0, 100);
	struct sched_item *later = submit_until(0, 100, 1000);
	struct sched_item *sooner = submit_until(1, 500, 1200);
	struct sched_item *never = submit_until(1, 500, 10);
	ck_assert_ptr_eq(sched_fair.pick_late(sched, 0, now), never);
	sched_fair.remove(sched, never, now);
	ck_assert_uint_eq(sched_fair.next_change(sched, 0, now), 701);
	ck_assert_ptr_null(sched_fair.pick_late(sched, 0, 700));
	ck_assert_ptr_eq(sched_fair.pick_late(sched, 0, 701), sooner);
	sched_fair.dispatched(sched, sooner, 601);
	/* What runs is late for nobody, and makes late whoever cannot wait for its end at 1101. */
	ck_assert_uint_eq(sched_fair.next_change(sched, 0, 601), 601);
	ck_assert_ptr_eq(sched_fair.pick_late(sched, 0, 601), later);
	sched_fair.completed(sched, sooner, 200, 801);
	ck_assert_ptr_null(sched_fair.pick_late(sched, 0, 801));
	ck_assert_uint_eq(sched_fair.next_change(sched, 0, 801), 901);
	ck_assert_ptr_eq(sched_fair.pick_late(sched, 0, 901), later);
	ck_assert_ptr_null(sched_fair.pick_late(sched, 7, 901));
	sched_fair.remove(sched, later, now);
	ck_assert_uint_eq(sched_fair.next_change(sched, 0, 901), UINT64_MAX);
	world_end();
}
END_TEST

/* Of four of 100, three take 80 more or less than estimated. */
static void learn(const struct sched_ops *ops, struct sched *of)
{
	static const uint64_t used_ns[] = {100, 180, 20, 180};

	for (int i = 0; i < 4; i++) {
		struct sched_item *item = &items[item_count++];
		*item = (struct sched_item){.queue = &queues[0], .arrival = item_count, .estimate_ns = 100};
		ops->enqueue(of, item, now);
		ops->dispatched(of, item, now);
		ops->completed(of, item, used_ns[i], now);
	}
}

static const struct sched_ops *const policies[] = {&sched_fair, &sched_fifo};

START_TEST(deadlines_leave_room_for_what_estimates_are_off)
{
	const struct sched_ops *ops = policies[_i];
	struct sched *of = ops->create(&PLAIN);

	tenants[0] = (struct sched_tenant){.weight = 100};
	sessions[0] = (struct sched_session){.tenant = &tenants[0], .id = 1, .weight = 100};
	queues[0] = (struct sched_queue){.session = &sessions[0], .class = SCHED_NORMAL, .weight = 100};
	ck_assert_int_eq(ops->tenant_open(of, &tenants[0]), 0);
	ops->session_open(of, &sessions[0]);
	ops->queue_open(of, &queues[0]);
	item_count = 0;
	now = 1;
	learn(ops, of);
	/* 0, then 80 / 8, (10 × 7 + 80) / 8 and (18 × 7 + 80) / 8 */
	ck_assert_uint_eq(queues[0].own.spread_ns, 25);
	struct sched_item wide = {.queue = &queues[0], .arrival = 10, .estimate_ns = 100, .deadline_ns = 1101};
	struct sched_item tight = {.queue = &queues[0], .arrival = 11, .estimate_ns = 100, .deadline_ns = 131};
	ops->enqueue(of, &wide, now);
	/* Four times 25 earlier than at 1001. */
	ck_assert_uint_eq(ops->next_change(of, 0, now), 902);
	ops->enqueue(of, &tight, now);
	/* But what could wait for 30 only may wait for 15. */
	ck_assert_ptr_null(ops->pick_late(of, 0, now));
	ck_assert_uint_eq(ops->next_change(of, 0, now), 17);
	ops->dispatched(of, &tight, now);
	/* From 1 to 201 at most; then there is as much time as before. */
	ck_assert_uint_eq(ops->next_change(of, 0, now), 902);
	ops->remove(of, &tight, now);
	ops->remove(of, &wide, now);
	ops->tenant_close(of, &tenants[0]);
	ops->destroy(of);
	tenants[0].own.places = NULL;
}
END_TEST

/* ------------------------------------------------------------------ limits of time */

START_TEST(a_limited_tenant_waits_for_its_time_even_on_an_idle_device)
{
	world_begin(&PLAIN);
	open_tenant(0, 100, 250);
	open_session(0, 0, 100);
	open_queue(0, 0, SCHED_NORMAL, 100);
	now = 10000 * MS;
	for (int i = 0; i < 4; i++)
		submit(0, 20 * MS);
	/* However long it did nothing: 25 ms in the bucket; 20 ms of service bring 5: then 10, then -5 ms and 5 more.
	 */
	expect_runs("00");
	ck_assert_int_eq(run(), -1);
	ck_assert_ptr_null(sched_fair.pick_of(sched, &sessions[0], now));
	uint64_t change = sched_fair.next_change(sched, 0, now);
	ck_assert_uint_eq(now, 10040 * MS);
	ck_assert_uint_eq(change, 10060 * MS + 1);
	ck_assert_ptr_null(sched_fair.pick_next(sched, 0, 0, change - 1));
	ck_assert_ptr_nonnull(sched_fair.pick_next(sched, 0, 0, change));
	ck_assert_uint_eq(sched_fair.next_change(sched, 0, change), UINT64_MAX);
	now = change;
	expect_runs("0");
	sched_fair.remove(sched, &items[3], now);
	ck_assert(sched_fair.tenant_owes(sched, &tenants[0], now));
	ck_assert(!sched_fair.tenant_owes(sched, &tenants[0], now + 1000 * MS));
	world_end();
}
END_TEST

START_TEST(a_limit_comes_with_no_claim_for_the_time_it_took)
{
	world_begin(&PLAIN);
	open_tenant(0, 100, 500);
	open_session(0, 0, 100);
	open_queue(0, 0, SCHED_NORMAL, 100);
	open_all(1, 100, SCHED_NORMAL);
	now = 0;
	for (int i = 0; i < 8; i++) {
		submit(0, 100 * MS);
		submit(1, 100 * MS);
	}
	/* After 100 ms of 50 it is held; with two services of 1 between, and no two of its own in a row. */
	expect_runs("0101010");
	world_end();
}
END_TEST

START_TEST(what_a_limited_tenant_did_not_use_is_its_own_again)
{
	struct sched_item *item;

	world_begin(&PLAIN);
	open_tenant(0, 100, 500);
	open_session(0, 0, 100);
	open_queue(0, 0, SCHED_NORMAL, 100);
	submit(0, 60 * MS);
	submit(0, 10);
	now = 0;
	ck_assert_int_eq(start(&item), 0);
	ck_assert_ptr_null(sched_fair.pick_next(sched, 0, 0, now));
	sched_fair.completed(sched, item, 1 * MS, now);
	ck_assert_ptr_nonnull(sched_fair.pick_next(sched, 0, 0, now));
	world_end();
}
END_TEST

/* ------------------------------------------------------------------ why an item waits */

START_TEST(the_position_of_an_item_is_what_runs_before_it)
{
	struct sched_why why;

	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_all(1, 200, SCHED_NORMAL);
	open_all(2, 100, SCHED_HIGH);
	open_session(3, 0, 100);
	open_queue(3, 3, SCHED_NORMAL, 100);
	submit(2, 1000);
	for (int i = 0; i < 6; i++) {
		submit(0, 1000);
		submit(1, 1000);
		if (i == 0) {
			/* Of equal tags the one that waits for longer. */
			sched_fair.explain(sched, &items[1], now, &why);
			ck_assert_uint_eq(why.ahead[SCHED_NORMAL], 0);
			sched_fair.explain(sched, &items[2], now, &why);
			ck_assert_uint_eq(why.ahead[SCHED_NORMAL], 1);
		}
		submit(3, 1000);
	}
	struct sched_item *last = &items[item_count - 6]; /* the fifth of session 0 */
	sched_fair.explain(sched, last, now, &why);
	uint32_t ran = 0;
	while (sched_fair.pick_next(sched, 0, 0, now) != last) {
		(void)run();
		ran++;
	}
	ck_assert_uint_eq(why.position, ran);
	ck_assert_uint_eq(why.ahead[SCHED_HIGH], 1);
	ck_assert_uint_eq(why.ahead[SCHED_NORMAL], ran - 1);
	ck_assert_uint_eq(why.ahead_of_tenant, 8);
	ck_assert_uint_eq(why.ahead_ns, ran * 1000ull);
	ck_assert(!why.throttled);
	world_end();
}
END_TEST

START_TEST(an_explanation_knows_remainders_deadlines_and_limits)
{
	const struct sched_params params = {.devices = 1, .remainder = {0, 0, 500, 0}};
	struct sched_why why;

	world_begin(&params);
	open_tenant(0, 100, 100);
	open_session(0, 0, 100);
	open_queue(0, 0, SCHED_NORMAL, 100);
	open_queue(1, 0, SCHED_NORMAL, 100);
	open_all(2, 100, SCHED_HIGH);
	for (int i = 0; i < 20; i++)
		submit(2, MS);
	now = 0;
	submit(0, MS);
	submit(0, MS);
	submit_until(1, MS, 1000 * MS);
	sched_fair.explain(sched, &items[21], now, &why);
	/* One before it in its queue, one with a deadline; half of the time is the other class's. */
	ck_assert_uint_eq(why.ahead_of_tenant, 2);
	ck_assert_uint_eq(why.ahead[SCHED_HIGH], 3);
	ck_assert_uint_eq(why.position, 5);
	sched_fair.charge(sched, &sessions[0], SCHED_NORMAL, 30 * MS, now);
	sched_fair.explain(sched, &items[21], now, &why);
	ck_assert(why.throttled);
	ck_assert_uint_eq(why.throttled_ns, 200 * MS + 1);
	sched_fair.remove(sched, &items[21], now);
	sched_fair.explain(sched, &items[21], now, &why);
	ck_assert_uint_eq(why.position, 0);
	ck_assert(!why.throttled);
	now = 1000 * MS;
	world_end();
}
END_TEST

START_TEST(what_is_next_by_its_age_has_nothing_before_it)
{
	const struct sched_params params = {.devices = 1, .ageing_ns = 500};
	struct sched_why why;
	unsigned aged = 0;

	world_begin(&params);
	for (unsigned i = 0; i < 3; i++)
		open_all(i, i == 2 ? 1000 : 1 + i, SCHED_NORMAL);
	for (unsigned i = 0; i < 24; i++)
		submit(i % 3, 100);
	for (uint32_t left = 12; left; left--) {
		const struct sched_item *next = sched_fair.pick_next(sched, 0, 0, now);
		for (uint32_t i = 0; i < item_count; i++) {
			sched_fair.explain(sched, &items[i], now, &why);
			if (items[i].own.state == SCHED_ITEM_QUEUED)
				ck_assert_msg((why.position == 0) == (&items[i] == next), "%u with %u left", i, left);
		}
		aged += left < 10 && next->queue != &queues[2];
		(void)run();
	}
	ck_assert_uint_ge(aged, 3);
	world_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sched_class");
	TCase *tcase = tcase_create("sched_class");

	tcase_add_test(tcase, better_classes_go_first);
	tcase_add_test(tcase, a_class_gets_its_remainder_exactly);
	tcase_add_test(tcase, a_remainder_is_earned_before_it_is_spent_and_lost_with_the_work);
	tcase_add_test(tcase, a_class_earns_only_while_it_waits);
	tcase_add_test(tcase, time_that_nobody_better_wanted_makes_no_debt);
	tcase_add_test(tcase, a_debt_is_not_forgiven_for_time_that_nobody_wanted);
	tcase_add_test(tcase, an_item_that_took_longer_than_its_class_had_earned_is_paid_for_later);
	tcase_add_test(tcase, who_waited_too_long_is_next_but_not_twice_in_a_row);
	tcase_add_test(tcase, ageing_does_not_move_the_virtual_time);
	tcase_add_test(tcase, no_weight_of_at_least_the_mean_is_served_out_of_turn);
	tcase_add_test(tcase, who_was_served_out_of_turn_owes_for_one_item);
	tcase_add_test(tcase, deadlines_rule_inside_a_session_and_not_between_tenants);
	tcase_add_test(tcase, what_is_late_is_found_and_when);
	tcase_add_loop_test(tcase, deadlines_leave_room_for_what_estimates_are_off, 0, 2);
	tcase_add_test(tcase, a_limited_tenant_waits_for_its_time_even_on_an_idle_device);
	tcase_add_test(tcase, a_limit_comes_with_no_claim_for_the_time_it_took);
	tcase_add_test(tcase, what_a_limited_tenant_did_not_use_is_its_own_again);
	tcase_add_test(tcase, the_position_of_an_item_is_what_runs_before_it);
	tcase_add_test(tcase, an_explanation_knows_remainders_deadlines_and_limits);
	tcase_add_test(tcase, what_is_next_by_its_age_has_nothing_before_it);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
