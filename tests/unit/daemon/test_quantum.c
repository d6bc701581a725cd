/* SPDX-License-Identifier: Apache-2.0 */
/* How long a session keeps the device. */
#include "daemon/policy/quantum.h"

#include "tests/unit/daemon/sched_world.h"

#define MS 1000000ull

static const struct sched_params PLAIN = {.devices = 1};

static int pick(const struct quantum *quantum, unsigned attached)
{
	struct sched_item *item = quantum_pick(quantum, &sched_fair, sched, 0, &sessions[attached], now);

	return item ? (int)(item->queue - queues) : -1;
}

START_TEST(a_tenure_lasts_eight_switches_and_a_second_at_most)
{
	struct quantum quantum = {0};

	quantum_begin(&quantum, 10 * MS, 100 * MS);
	ck_assert_uint_eq(quantum.switch_ns, 10 * MS);
	ck_assert_uint_eq(quantum.stay_until_ns, 180 * MS);
	/* (3 × 10 + 50) / 4 */
	quantum_begin(&quantum, 50 * MS, 200 * MS);
	ck_assert_uint_eq(quantum.switch_ns, 20 * MS);
	ck_assert_uint_eq(quantum.stay_until_ns, 360 * MS);
	quantum_begin(&quantum, 5000 * MS, 0);
	ck_assert_uint_eq(quantum.stay_until_ns, 1000 * MS);
}
END_TEST

START_TEST(the_attached_session_stays_while_it_has_work)
{
	const struct quantum quantum = {.stay_until_ns = 1000};

	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_all(1, 100, SCHED_NORMAL);
	ck_assert_int_eq(pick(&quantum, 1), -1);
	submit(0, 100);
	struct sched_item *own = submit(1, 100);
	ck_assert_int_eq(pick(&quantum, 0), 0);
	ck_assert_int_eq(pick(&quantum, 1), 1);
	now = 999;
	ck_assert_int_eq(pick(&quantum, 1), 1);
	now = 1000;
	ck_assert_int_eq(pick(&quantum, 1), 0);
	now = 1;
	sched_fair.remove(sched, own, now);
	ck_assert_int_eq(pick(&quantum, 1), 0);
	ck_assert_ptr_eq(quantum_pick(&quantum, &sched_fair, sched, 0, NULL, now), &items[0]);
	world_end();
}
END_TEST

START_TEST(what_runs_counts_in_the_quantum)
{
	const struct quantum quantum = {.stay_until_ns = 1000};

	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_all(1, 100, SCHED_NORMAL);
	struct sched_item *first = submit(1, 500);
	sched_fair.dispatched(sched, first, now);
	submit(0, 100);
	submit(1, 500);
	/* At 501 it would start. */
	ck_assert_int_eq(pick(&quantum, 1), 1);
	now = 499;
	ck_assert_int_eq(pick(&quantum, 1), 1);
	struct sched_item *second = submit(1, 500);
	sched_fair.dispatched(sched, second, now);
	ck_assert_int_eq(pick(&quantum, 1), 0);
	sched_fair.completed(sched, first, 500, 499);
	ck_assert_int_eq(pick(&quantum, 1), 1);
	sched_fair.completed(sched, second, 500, 999);
	now = 1000;
	ck_assert_int_eq(pick(&quantum, 1), 0);
	world_end();
}
END_TEST

START_TEST(work_of_a_better_class_takes_over_at_once)
{
	const struct quantum quantum = {.stay_until_ns = 1000};

	world_begin(&PLAIN);
	open_all(0, 100, SCHED_REALTIME);
	open_all(1, 100, SCHED_NORMAL);
	submit(1, 100);
	ck_assert_int_eq(pick(&quantum, 1), 1);
	submit(0, 100);
	ck_assert_int_eq(pick(&quantum, 1), 0);
	world_end();
}
END_TEST

START_TEST(a_session_without_time_does_not_stay)
{
	const struct quantum quantum = {.stay_until_ns = 1000};

	world_begin(&PLAIN);
	open_all(0, 100, SCHED_NORMAL);
	open_tenant(1, 100, 10);
	open_session(1, 1, 100);
	open_queue(1, 1, SCHED_NORMAL, 100);
	submit(0, 100);
	submit(1, 100);
	ck_assert_int_eq(pick(&quantum, 1), 1);
	sched_fair.charge(sched, &sessions[1], SCHED_NORMAL, 10 * MS, now);
	ck_assert_int_eq(pick(&quantum, 1), 0);
	now = 10000 * MS;
	world_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quantum");
	TCase *tcase = tcase_create("quantum");

	tcase_add_test(tcase, a_tenure_lasts_eight_switches_and_a_second_at_most);
	tcase_add_test(tcase, the_attached_session_stays_while_it_has_work);
	tcase_add_test(tcase, what_runs_counts_in_the_quantum);
	tcase_add_test(tcase, work_of_a_better_class_takes_over_at_once);
	tcase_add_test(tcase, a_session_without_time_does_not_stay);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
