/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twice as much work as the device can do, all of it with deadlines: what is begun ends in time, what cannot is shed
 * and never runs, and the time is shared as without deadlines. Beside it "fifo" that hears of no deadline.
 */
#include <math.h>

#include "tests/sim/sim.h"
#include "tests/sim/table.h"
#include "tests/unit/suite.h"

#define SEEDS 5u
#define LENGTH (20 * SECOND)
#define TENANTS 4u

/* Jobs of so long, and what part of the device's time the tenant asks for, in percent. */
struct load {
	uint64_t mean_ns;
	uint32_t percent;
};

static const struct load loads[][TENANTS] = {
    {{5 * MS, 50}, {5 * MS, 50}, {5 * MS, 50}, {5 * MS, 50}},
    {{MS, 20}, {2 * MS, 40}, {5 * MS, 60}, {10 * MS, 80}},
    {{MS, 50}, {MS, 50}, {MS, 50}, {MS, 50}},
};

struct outcome {
	double goodput; /* part of the time that went into jobs which met their deadlines */
	double attainment; /* part of the jobs that ran which did */
	double least; /* what a tenant got, as a part of its share or of what it asked for */
};

static struct outcome look(const struct sim *sim, const struct load *of)
{
	struct outcome outcome = {.least = 1};
	uint64_t ran = 0, in_time = 0;

	for (uint32_t i = 0; i < TENANTS; i++) {
		const struct sim_stream *stream = &sim->streams[i];
		double wanted = fmin(of[i].percent / 100.0, 1.0 / TENANTS);
		ran += stream->latencies;
		in_time += stream->in_time;
		outcome.goodput += (double)stream->in_time_ns / (double)LENGTH;
		outcome.least = fmin(outcome.least, (double)stream->in_time_ns / (double)LENGTH / wanted);
	}
	outcome.attainment = (double)in_time / (double)ran;
	return outcome;
}

static struct outcome overload(const struct sched_ops *ops, uint64_t seed, const struct load *of)
{
	const struct sim_options options = {
	    .ops = ops, .seed = seed, .ageing_ns = 500 * MS, .blind = ops == &sched_fifo};
	struct sim *sim = sim_new(&options);

	for (uint32_t i = 0; i < TENANTS; i++) {
		const struct sim_stream stream = {.tenant = sim_tenant(sim, 100, 0),
						  .mean_ns = of[i].mean_ns,
						  .within_ns = 100 * MS,
						  .period_ns = of[i].mean_ns * 100 / of[i].percent,
						  .start_ns = i * MS / 3};
		(void)sim_stream(sim, &stream, SCHED_NORMAL, 0);
	}
	sim_run(sim, 5 * SECOND);
	sim_measure(sim);
	sim_run(sim, 5 * SECOND + LENGTH);
	struct outcome outcome = look(sim, of);
	sim_free(sim);
	return outcome;
}

START_TEST(what_runs_under_overload_ends_in_time)
{
	struct outcome fair = {1, 1, 1}, fifo = {0, 0, 0};

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct outcome one = overload(&sched_fair, seed, loads[_i]),
			       other = overload(&sched_fifo, seed, loads[_i]);
		fair.goodput = fmin(fair.goodput, one.goodput);
		fair.attainment = fmin(fair.attainment, one.attainment);
		fair.least = fmin(fair.least, one.least);
		fifo.goodput = fmax(fifo.goodput, other.goodput);
		fifo.attainment = fmax(fifo.attainment, other.attainment);
		fifo.least = fmax(fifo.least, other.least);
	}
	table_row("overload of 2: part of the time for jobs in time", fifo.goodput, fair.goodput, ">= 0.95");
	table_row("... part of the jobs that ran which ended in time", fifo.attainment, fair.attainment, ">= 0.999");
	table_row("... least that a tenant got of its share", fifo.least, fair.least, ">= 0.95");
	ck_assert_double_ge(fair.goodput, 0.95);
	ck_assert_double_ge(fair.attainment, 0.999);
	ck_assert_double_ge(fair.least, 0.95);
	ck_assert_double_le(fifo.goodput, 0.5);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("overload");
	TCase *tcase = tcase_create("overload");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, what_runs_under_overload_ends_in_time, 0, sizeof(loads) / sizeof(loads[0]));
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
