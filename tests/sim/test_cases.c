/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What "fair" promises, in twenty seconds of virtual time each, with five seeds: the worst of them counts. "fifo"
 * stands beside it, the best of the five.
 */
#include <math.h>

#include "tests/sim/sim.h"
#include "tests/sim/table.h"
#include "tests/unit/suite.h"

#define SEEDS 5u
#define LENGTH (20 * SECOND)

/* The worst of what was measured: small or large is bad. */
static void worst_low(double *worst, double value)
{
	if (*worst < 0 || value < *worst)
		*worst = value;
}

static void worst_high(double *worst, double value)
{
	if (value > *worst)
		*worst = value;
}

static struct sim *begin(const struct sched_ops *ops, uint64_t seed)
{
	const struct sim_options options = {
	    .ops = ops, .seed = seed, .ageing_ns = 500 * MS, .remainder = {0, 100, 100, 10}, .lag = true};

	return sim_new(&options);
}

static struct sim_stream *add(struct sim *sim, uint32_t weight, uint64_t mean_ns, uint32_t depth)
{
	const struct sim_stream stream = {.tenant = sim_tenant(sim, weight, 0), .mean_ns = mean_ns, .depth = depth};

	return sim_stream(sim, &stream, SCHED_NORMAL, 0);
}

/* Until everything has run once and what it takes is known, then what is measured. */
static void run(struct sim *sim)
{
	sim_run(sim, 5 * SECOND);
	sim_measure(sim);
	sim_run(sim, 5 * SECOND + LENGTH);
}

struct outcome {
	double jain;
	double lag; /* of what is allowed */
	double lag_of_two;
	double p99; /* of the first tenant, in ms */
	double idle; /* part of the time */
};

static struct outcome look(struct sim *sim, uint32_t tenants, struct sim_stream *first)
{
	struct outcome outcome = {
	    .jain = sim_jain(sim, tenants),
	    .lag = sim_worst_lag(sim),
	    .lag_of_two = sim_worst_lag_of_two(sim),
	    .p99 = sim_percentile(first, 0.99),
	    .idle = 1 - (double)(sim->devices[0].busy_ns + sim->devices[0].switching_ns) / (double)LENGTH,
	};

	sim_free(sim);
	return outcome;
}

/* ------------------------------------------------------------------ B: 1 ms against 20 ms */

static struct outcome run_b(const struct sched_ops *ops, uint64_t seed)
{
	struct sim *sim = begin(ops, seed);
	struct sim_stream *small = add(sim, 100, MS, 8);

	(void)add(sim, 100, 20 * MS, 8);
	run(sim);
	return look(sim, 2, small);
}

START_TEST(short_jobs_get_as_much_time_as_long_ones)
{
	double jain = -1, fifo_jain = 0, lag = 0, p99 = 0, fifo_p99 = -1, idle = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct outcome fair = run_b(&sched_fair, seed), fifo = run_b(&sched_fifo, seed);
		worst_low(&jain, fair.jain);
		worst_high(&lag, fair.lag);
		worst_high(&p99, fair.p99);
		worst_high(&idle, fair.idle);
		worst_high(&fifo_jain, fifo.jain);
		worst_low(&fifo_p99, fifo.p99);
	}
	table_row("B: 1 ms and 20 ms jobs, Jain", fifo_jain, jain, ">= 0.999");
	table_row("B: p99 of the short jobs, ms", fifo_p99, p99, "less");
	table_row("B: worst lag / (longest job of each)", -1, lag, "<= 1");
	table_row("B: part of the time that the device is idle", -1, idle, "<= 0.002");
	ck_assert_double_ge(jain, 0.999);
	ck_assert_double_le(fifo_jain, 0.60);
	ck_assert_double_lt(p99, fifo_p99);
	ck_assert_double_le(lag, 1);
	ck_assert_double_le(idle, 0.002);
}
END_TEST

/* ------------------------------------------------------------------ C: interactive beside a hog */

static double run_c(const struct sched_ops *ops, uint64_t seed, bool alone, uint64_t *longest)
{
	struct sim *sim = begin(ops, seed);
	const struct sim_stream interactive = {
	    .tenant = sim_tenant(sim, 100, 0), .mean_ns = MS, .period_ns = 20 * MS, .start_ns = 7 * MS};
	struct sim_stream *stream = sim_stream(sim, &interactive, SCHED_NORMAL, 0);

	if (!alone)
		(void)add(sim, 100, 10 * MS, 64);
	run(sim);
	*longest = sim->tenants[1].on[0].longest_ns;
	return look(sim, 1, stream).p99;
}

START_TEST(an_interactive_tenant_waits_for_one_job_at_most)
{
	double p99 = 0, isolated_p99 = 0, fifo_p99 = -1, excess = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		uint64_t longest, unused;
		double isolated = run_c(&sched_fair, seed, true, &unused);
		double shared = run_c(&sched_fair, seed, false, &longest);
		worst_high(&p99, shared);
		worst_high(&isolated_p99, isolated);
		worst_high(&excess, shared - isolated - (double)longest / MS);
		worst_low(&fifo_p99, run_c(&sched_fifo, seed, false, &unused));
	}
	table_row("C: interactive beside 64 x 10 ms, p99, ms", fifo_p99, p99, "<= alone + the longest job");
	table_row("C: the same alone, ms", -1, isolated_p99, "");
	ck_assert_double_le(excess, 0);
	ck_assert_double_ge(fifo_p99, 500);
}
END_TEST

/* Where a change of session takes 0.5 ms, and the interactive one comes every 5 ms. */
static double run_c_switching(uint64_t seed, enum sched_class class, bool alone, uint64_t *longest)
{
	struct sim *sim = begin(&sched_fair, seed);
	const struct sim_stream interactive = {
	    .tenant = sim_tenant(sim, 100, 0), .mean_ns = MS / 5, .period_ns = 5 * MS, .start_ns = 7 * MS};
	struct sim_stream *stream = sim_stream(sim, &interactive, class, 0);

	sim->options.switch_ns = MS / 2;
	if (!alone)
		(void)add(sim, 100, MS, 64);
	run(sim);
	*longest = sim->tenants[1].on[0].longest_ns;
	return look(sim, 1, stream).p99;
}

static const struct {
	enum sched_class class;
	uint32_t quanta; /* that it waits for */
	const char *name, *goal;
} ways[] = {
    {SCHED_HIGH, 0, "C, class high, 0.5 ms a switch, p99, ms", "<= alone + two jobs + a switch"},
    {SCHED_NORMAL, 1, "C, class normal, 0.5 ms a switch, p99, ms", "<= the same + a quantum"},
};

START_TEST(a_better_class_waits_for_no_quantum)
{
	double p99 = 0, excess = -1000;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		uint64_t longest, unused;
		double alone = run_c_switching(seed, ways[_i].class, true, &unused);
		double shared = run_c_switching(seed, ways[_i].class, false, &longest);
		double allowed = 2 * (double)longest / MS + 0.5 + ways[_i].quanta * QUANTUM_SWITCHES * 0.5;
		worst_high(&p99, shared);
		worst_high(&excess, shared - alone - allowed);
	}
	table_row(ways[_i].name, -1, p99, ways[_i].goal);
	ck_assert_double_le(excess, 0);
}
END_TEST

/* ------------------------------------------------------------------ D: weights */

static struct outcome run_d(const struct sched_ops *ops, uint64_t seed, double shares[3])
{
	struct sim *sim = begin(ops, seed);
	struct sim_stream *first = add(sim, 100, 5 * MS, 8);

	(void)add(sim, 200, 5 * MS, 8);
	(void)add(sim, 400, 5 * MS, 8);
	run(sim);
	for (uint32_t i = 0; i < 3; i++)
		shares[i] = sim_share(sim, i);
	return look(sim, 3, first);
}

START_TEST(shares_follow_the_weights)
{
	double off = 0, lag = 0, fifo_off = -1;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		double shares[3], fifo[3];
		worst_high(&lag, run_d(&sched_fair, seed, shares).lag);
		(void)run_d(&sched_fifo, seed, fifo);
		for (int i = 0; i < 3; i++)
			worst_high(&off, fabs(shares[i] * 7 / (1 << i) - 1));
		worst_low(&fifo_off, fabs(fifo[2] * 7 / 4 - 1));
	}
	table_row("D: weights 1:2:4, largest relative error of a share", fifo_off, off, "<= 0.01");
	table_row("D: worst lag / (longest job of each)", -1, lag, "<= 1");
	ck_assert_double_le(off, 0.01);
	ck_assert_double_le(lag, 1);
	ck_assert_double_ge(fifo_off, 0.3);
}
END_TEST

/* ------------------------------------------------------------------ E: sixteen tenants, 1 to 31 ms */

static struct outcome run_e(const struct sched_ops *ops, uint64_t seed, uint64_t switch_ns, uint64_t ageing_ns)
{
	const struct sim_options options = {
	    .ops = ops, .seed = seed, .ageing_ns = ageing_ns, .switch_ns = switch_ns, .lag = true};
	struct sim *sim = sim_new(&options);
	struct sim_stream *first = NULL;

	for (uint64_t i = 0; i < 16; i++) {
		struct sim_stream *stream = add(sim, 100, (2 * i + 1) * MS, 4);
		first = first ? first : stream;
	}
	run(sim);
	return look(sim, 16, first);
}

START_TEST(many_tenants_with_different_jobs_get_the_same_time)
{
	double jain = -1, fifo_jain = 0, lag = 0, aged_lag = 0, p99 = 0, fifo_p99 = -1;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct outcome fair = run_e(&sched_fair, seed, 0, 500 * MS), fifo = run_e(&sched_fifo, seed, 0, 0);
		worst_low(&jain, fair.jain);
		worst_high(&lag, run_e(&sched_fair, seed, 0, 0).lag);
		worst_high(&aged_lag, fair.lag_of_two);
		worst_high(&p99, fair.p99);
		worst_high(&fifo_jain, fifo.jain);
		worst_low(&fifo_p99, fifo.p99);
	}
	table_row("E: 16 tenants, 1 to 31 ms jobs, Jain", fifo_jain, jain, ">= 0.999");
	table_row("E: p99 of the shortest jobs, ms", fifo_p99, p99, "less");
	table_row("E without ageing: worst lag / (longest job of each)", -1, lag, "<= 1");
	table_row("E with ageing: worst lag / (two longest jobs)", -1, aged_lag, "<= 1");
	ck_assert_double_ge(jain, 0.999);
	ck_assert_double_le(fifo_jain, 0.80);
	ck_assert_double_lt(p99, fifo_p99);
	ck_assert_double_le(lag, 1);
	ck_assert_double_le(aged_lag, 1);
}
END_TEST

/*
 * Three jobs run at a time. As three cores that take what is next from one queue: what a policy is worth where several
 * jobs are in the hardware at once. And as three NPUs, with a session of each tenant on each: how it is with npud,
 * where all cores of a device are the session's that has it.
 */
static struct outcome run_e_on_three(const struct sched_ops *ops, uint64_t seed, uint32_t cores)
{
	const struct sim_options options = {
	    .ops = ops, .seed = seed, .ageing_ns = 500 * MS, .cores = cores, .lag = true};
	struct sim *sim = sim_new(&options);
	struct sim_stream *first = NULL;

	for (uint64_t i = 0; i < 16; i++) {
		const struct sim_stream stream = {
		    .tenant = sim_tenant(sim, 100, 0), .mean_ns = (2 * i + 1) * MS, .depth = 4};
		for (uint32_t device = 0; device < 3 / cores; device++) {
			struct sim_stream *added = sim_stream(sim, &stream, SCHED_NORMAL, device);
			first = first ? first : added;
		}
	}
	run(sim);
	return look(sim, 16, first);
}

static const struct {
	uint32_t cores;
	const char *jain, *lag;
} threes[] = {{3, "E with 3 cores, Jain", "E with 3 cores: worst lag / (two longest jobs)"},
	      {1, "E with 3 devices, Jain", "E with 3 devices: worst lag / (two longest jobs)"}};

START_TEST(three_jobs_at_a_time_are_shared_as_well)
{
	double jain = -1, fifo_jain = 0, lag = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct outcome fair = run_e_on_three(&sched_fair, seed, threes[_i].cores);
		worst_low(&jain, fair.jain);
		worst_high(&lag, fair.lag_of_two);
		worst_high(&fifo_jain, run_e_on_three(&sched_fifo, seed, threes[_i].cores).jain);
	}
	table_row(threes[_i].jain, fifo_jain, jain, ">= 0.999");
	table_row(threes[_i].lag, -1, lag, "<= 1");
	ck_assert_double_ge(jain, 0.999);
	ck_assert_double_le(fifo_jain, 0.80);
	ck_assert_double_le(lag, 1);
}
END_TEST

START_TEST(switches_that_cost_time_are_shared_as_well)
{
	double jain = -1, fifo_jain = 0, lag = 0, switching = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct outcome fair = run_e(&sched_fair, seed, 2 * MS, 0);
		worst_low(&jain, fair.jain);
		worst_high(&lag, fair.lag_of_two);
		worst_high(&fifo_jain, run_e(&sched_fifo, seed, 2 * MS, 0).jain);
		struct sim *sim = begin(&sched_fair, seed);
		sim->options.switch_ns = 2 * MS;
		(void)add(sim, 100, MS, 8);
		(void)add(sim, 100, MS, 8);
		run(sim);
		worst_high(&switching, (double)sim->devices[0].switching_ns / (double)LENGTH);
		sim_free(sim);
	}
	table_row("E with 2 ms a switch, Jain", fifo_jain, jain, ">= 0.99");
	table_row("E with 2 ms a switch: worst lag / (two longest + a switch)", -1, lag, "<= 1");
	table_row("1 ms jobs, 2 ms a switch: part that goes into switching", -1, switching, "<= 0.12");
	ck_assert_double_ge(jain, 0.99);
	ck_assert_double_le(lag, 1);
	ck_assert_double_le(switching, 0.12);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cases");
	TCase *tcase = tcase_create("cases");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, short_jobs_get_as_much_time_as_long_ones);
	tcase_add_test(tcase, an_interactive_tenant_waits_for_one_job_at_most);
	tcase_add_loop_test(tcase, a_better_class_waits_for_no_quantum, 0, sizeof(ways) / sizeof(ways[0]));
	tcase_add_test(tcase, shares_follow_the_weights);
	tcase_add_test(tcase, many_tenants_with_different_jobs_get_the_same_time);
	tcase_add_loop_test(tcase, three_jobs_at_a_time_are_shared_as_well, 0, sizeof(threes) / sizeof(threes[0]));
	tcase_add_test(tcase, switches_that_cost_time_are_shared_as_well);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
