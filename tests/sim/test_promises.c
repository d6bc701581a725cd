/* SPDX-License-Identifier: Apache-2.0 */
/* Classes, ageing, idle tenants, limits and several devices, in virtual time. */
#include <math.h>

#include "tests/sim/sim.h"
#include "tests/sim/table.h"
#include "tests/unit/suite.h"

#define LENGTH (20 * SECOND)

static struct sim *begin_with(const struct sched_ops *ops, uint64_t ageing_ns)
{
	const struct sim_options options = {
	    .ops = ops, .seed = 42, .ageing_ns = ageing_ns, .remainder = {0, 100, 100, 10}};

	return sim_new(&options);
}

static struct sim_stream *add_at(struct sim *sim, uint32_t tenant, enum sched_class class, uint64_t mean_ns,
				 uint64_t start_ns)
{
	const struct sim_stream stream = {.tenant = tenant, .mean_ns = mean_ns, .depth = 4, .start_ns = start_ns};

	return sim_stream(sim, &stream, class, 0);
}

static struct sim_stream *add(struct sim *sim, uint32_t tenant, enum sched_class class, uint64_t mean_ns)
{
	return add_at(sim, tenant, class, mean_ns, 0);
}

/* Everything has run, and what it takes is known. */
static void run(struct sim *sim)
{
	sim_run(sim, 5 * SECOND);
	sim_measure(sim);
	sim_run(sim, 5 * SECOND + LENGTH);
}

static double hundred_sessions(const struct sched_ops *ops)
{
	struct sim *sim = begin_with(ops, 500 * MS);
	uint32_t many = sim_tenant(sim, 100, 0), one = sim_tenant(sim, 100, 0);

	for (int i = 0; i < 100; i++)
		(void)add(sim, many, SCHED_NORMAL, 5 * MS);
	(void)add(sim, one, SCHED_NORMAL, 5 * MS);
	run(sim);
	double share = sim_share(sim, many);
	sim_free(sim);
	return share;
}

START_TEST(a_tenant_of_a_hundred_sessions_has_the_share_of_one)
{
	double share = hundred_sessions(&sched_fair), fifo = hundred_sessions(&sched_fifo);

	table_row("share of 100 sessions of a tenant beside another's one", fifo, share, "0.5 +- 0.01");
	ck_assert_double_le(fabs(share - 0.5), 0.01);
	ck_assert_double_ge(fifo, 0.9);
}
END_TEST

/* The longest time between two services of the tenants of weight 1, in milliseconds. */
static double longest_gap(uint32_t light, uint64_t ageing_ns)
{
	struct sim *sim = begin_with(&sched_fair, ageing_ns);
	uint64_t gap = 0;

	for (uint32_t i = 0; i < SIM_TENANTS; i++)
		(void)add(sim, sim_tenant(sim, i < light ? 1 : SCHED_MAX_WEIGHT, 0), SCHED_NORMAL, 5 * MS);
	run(sim);
	for (uint32_t i = 0; i < light; i++) {
		uint64_t open = sim->now - sim->tenants[i].on[0].last_served_ns;
		gap = sim->tenants[i].on[0].longest_gap_ns > gap ? sim->tenants[i].on[0].longest_gap_ns : gap;
		gap = open > gap ? open : gap;
	}
	sim_free(sim);
	return (double)gap / MS;
}

START_TEST(the_lowest_weight_of_64_tenants_is_served_every_second)
{
	double one = longest_gap(1, 500 * MS), many = longest_gap(32, 500 * MS);

	table_row("weight 1 beside 63 of 1000: longest time without service, ms", -1, one, "<= 1000");
	table_row("32 of weight 1 beside 32 of 1000: the same", -1, many, "<= 1000");
	ck_assert_double_le(one, 1000);
	ck_assert_double_le(many, 1000);
	/* It is the ageing that does it. */
	ck_assert_double_ge(longest_gap(1, 0), 10000);
}
END_TEST

START_TEST(classes_below_a_flood_get_their_remainders)
{
	struct sim *sim = begin_with(&sched_fair, 500 * MS);
	double shares[SCHED_CLASSES];

	for (unsigned class = 0; class < SCHED_CLASSES; class ++)
		(void)add(sim, sim_tenant(sim, 100, 0), (enum sched_class) class, (5 + class) * MS);
	run(sim);
	for (uint32_t i = 0; i < SCHED_CLASSES; i++)
		shares[i] = sim_share(sim, i);
	sim_free(sim);
	table_row("realtime beside floods of all classes: share", -1, shares[SCHED_REALTIME], "0.79 +- 0.005");
	table_row("... high", -1, shares[SCHED_HIGH], "0.1 +- 0.002");
	table_row("... normal", -1, shares[SCHED_NORMAL], "0.1 +- 0.002");
	table_row("... idle", -1, shares[SCHED_IDLE], "0.01 +- 0.001");
	ck_assert_double_le(fabs(shares[SCHED_REALTIME] - 0.79), 0.005);
	ck_assert_double_le(fabs(shares[SCHED_HIGH] - 0.1), 0.002);
	ck_assert_double_le(fabs(shares[SCHED_NORMAL] - 0.1), 0.002);
	ck_assert_double_le(fabs(shares[SCHED_IDLE] - 0.01), 0.001);
}
END_TEST

START_TEST(realtime_work_waits_for_one_job_of_a_lower_class)
{
	const struct sim_stream clock = {.mean_ns = MS, .period_ns = 10 * MS, .start_ns = 3 * MS};
	struct sim *sim = begin_with(&sched_fair, 500 * MS);

	(void)sim_tenant(sim, 1, 0);
	struct sim_stream *stream = sim_stream(sim, &clock, SCHED_REALTIME, 0);
	for (int i = 0; i < 8; i++)
		(void)add(sim, sim_tenant(sim, 1000, 0), SCHED_NORMAL, 8 * MS);
	run(sim);
	double worst = sim_percentile(stream, 1), longest = 0;
	for (uint32_t i = 1; i < sim->tenant_count; i++)
		longest = fmax(longest, (double)sim->tenants[i].on[0].longest_ns / MS);
	double own = (double)sim->tenants[0].on[0].longest_ns / MS;
	sim_free(sim);
	/* And for the remainder of the others, which comes to one more now and then. */
	table_row("realtime beside 8 x 8 ms: worst latency, ms", -1, worst, "<= its job + two of the others");
	ck_assert_double_le(worst, own + 2 * longest);
}
END_TEST

/* The smallest share of the other in any second after the sleeper has come back. */
static double beside_a_sleeper(const struct sched_ops *ops)
{
	struct sim *sim = begin_with(ops, 500 * MS);
	uint32_t busy = sim_tenant(sim, 100, 0), sleeper = sim_tenant(sim, 100, 0);
	double least = 1;

	(void)add(sim, busy, SCHED_NORMAL, 2 * MS);
	for (int i = 0; i < 16; i++)
		(void)add_at(sim, sleeper, SCHED_NORMAL, 2 * MS, 60 * SECOND);
	for (uint64_t at = 60 * SECOND; at < 80 * SECOND; at += SECOND) {
		sim_run(sim, at);
		uint64_t before = sim->tenants[busy].on[0].served_ns;
		sim_run(sim, at + SECOND);
		least = fmin(least, (double)(sim->tenants[busy].on[0].served_ns - before) / SECOND);
	}
	sim_free(sim);
	return least;
}

START_TEST(who_slept_a_minute_has_no_claim_to_it)
{
	double least = beside_a_sleeper(&sched_fair), fifo = beside_a_sleeper(&sched_fifo);

	table_row("least share in a second beside one who slept a minute", fifo, least, ">= 0.45");
	ck_assert_double_ge(least, 0.45);
	ck_assert_double_le(fifo, 0.1);
}
END_TEST

START_TEST(a_limit_of_time_is_exact_with_and_without_others)
{
	struct sim *alone = begin_with(&sched_fair, 500 * MS), *beside = begin_with(&sched_fair, 500 * MS);

	(void)add(alone, sim_tenant(alone, 100, 250), SCHED_NORMAL, 7 * MS);
	(void)add(beside, sim_tenant(beside, 1000, 100), SCHED_HIGH, 7 * MS);
	(void)add(beside, sim_tenant(beside, 1, 0), SCHED_NORMAL, 7 * MS);
	run(alone);
	run(beside);
	double share = (double)alone->tenants[0].on[0].served_ns / (double)LENGTH;
	double limited = (double)beside->tenants[0].on[0].served_ns / (double)LENGTH;
	double idle = 1 - (double)beside->devices[0].busy_ns / (double)LENGTH;
	sim_free(alone);
	sim_free(beside);
	table_row("limit of 250 permille alone on a device: share", -1, share, "0.25 +- 0.001");
	table_row("limit of 100 permille beside a flood: share", -1, limited, "0.1 +- 0.001");
	ck_assert_double_le(fabs(share - 0.25), 0.001);
	ck_assert_double_le(fabs(limited - 0.1), 0.001);
	ck_assert_double_le(idle, 0.001);
}
END_TEST

START_TEST(each_device_is_shared_by_itself)
{
	struct sim *sim = begin_with(&sched_fair, 500 * MS);
	const uint32_t both = sim_tenant(sim, 100, 0), second = sim_tenant(sim, 100, 0);
	const struct sim_stream streams[] = {{.tenant = both, .mean_ns = 3 * MS, .depth = 4},
					     {.tenant = both, .mean_ns = 3 * MS, .depth = 4},
					     {.tenant = second, .mean_ns = 9 * MS, .depth = 4}};

	(void)sim_stream(sim, &streams[0], SCHED_NORMAL, 0);
	(void)sim_stream(sim, &streams[1], SCHED_NORMAL, 1);
	(void)sim_stream(sim, &streams[2], SCHED_NORMAL, 1);
	run(sim);
	/* One of two devices, and half of the other. */
	ck_assert_double_le(fabs(sim_share(sim, both) - 0.75), 0.002);
	for (int i = 0; i < 2; i++)
		ck_assert_double_ge((double)sim->devices[i].busy_ns, 0.998 * (double)LENGTH);
	sim_free(sim);
}
END_TEST

START_TEST(a_run_with_one_seed_is_always_the_same)
{
	uint64_t served[2];

	for (int i = 0; i < 2; i++) {
		struct sim *sim = begin_with(&sched_fair, 500 * MS);
		(void)add(sim, sim_tenant(sim, 3, 0), SCHED_NORMAL, 2 * MS);
		(void)add(sim, sim_tenant(sim, 7, 0), SCHED_NORMAL, 9 * MS);
		run(sim);
		served[i] = sim->tenants[0].on[0].served_ns;
		sim_free(sim);
	}
	ck_assert_uint_eq(served[0], served[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("promises");
	TCase *tcase = tcase_create("promises");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_tenant_of_a_hundred_sessions_has_the_share_of_one);
	tcase_add_test(tcase, the_lowest_weight_of_64_tenants_is_served_every_second);
	tcase_add_test(tcase, classes_below_a_flood_get_their_remainders);
	tcase_add_test(tcase, realtime_work_waits_for_one_job_of_a_lower_class);
	tcase_add_test(tcase, who_slept_a_minute_has_no_claim_to_it);
	tcase_add_test(tcase, a_limit_of_time_is_exact_with_and_without_others);
	tcase_add_test(tcase, each_device_is_shared_by_itself);
	tcase_add_test(tcase, a_run_with_one_seed_is_always_the_same);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
