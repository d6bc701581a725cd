/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far one tenant gets ahead of another, on random sets of tenants with work all the time: no further than
 * start-time fair queueing allows, with ageing, on several devices, whatever their jobs, depths and weights are.
 */
#include "tests/sim/sim.h"
#include "tests/sim/table.h"
#include "tests/unit/suite.h"

#define WORKLOADS 300u
#define MOST_TENANTS 16u

static uint32_t between(struct random *random, uint32_t least, uint32_t most)
{
	return least + random_below(random, most - least + 1);
}

static void add_streams(struct sim *sim, struct random *random, uint32_t tenant, uint32_t device, uint64_t longest_ns)
{
	for (uint32_t left = between(random, 1, 3); left; left--) {
		uint64_t mean_ns = longest_ns / between(random, 1, 2);
		/* More than there is room for in the hardware: something waits all the time. */
		const struct sim_stream stream = {
		    .tenant = tenant, .mean_ns = mean_ns, .estimate_ns = mean_ns, .depth = between(random, 5, 16)};
		(void)sim_stream(sim, &stream, SCHED_NORMAL, device);
	}
}

/* Jobs of any length up to 40 ms, or of two lengths below 5 ms, many of which are in the hardware at a time. */
static struct sim *random_workload(uint64_t seed, const struct sim_options *options, uint32_t lightest)
{
	struct random random = {.state = seed};
	struct sim *sim = sim_new(options);
	uint32_t devices = between(&random, 1, SIM_DEVICES), alike = random_below(&random, 2);

	for (uint32_t i = between(&random, 2, MOST_TENANTS); i; i--) {
		uint32_t tenant = sim_tenant(sim, between(&random, lightest, 100), 0);
		uint64_t longest_ns = alike ? 2 * MS : between(&random, 1, 400) * MS / 10;
		for (uint32_t device = random_below(&random, devices); device < devices; device++)
			add_streams(sim, &random, tenant, device, longest_ns);
	}
	sim_run(sim, SECOND);
	sim_measure(sim);
	sim_run(sim, 6 * SECOND);
	return sim;
}

/* With the weights of some of the workloads, and what ageing does about those. */
static struct sim_options options_of(uint64_t seed)
{
	return (struct sim_options){.ops = &sched_fair,
				    .seed = seed,
				    .ageing_ns = (20 + seed * 7 % 480) * MS,
				    .max_in_flight = 1 + seed % 4,
				    .lag = true};
}

/* As a part of the ageing and three rounds, in which each tenant has one of the longest jobs. */
static double longest_wait_on(const struct sim *sim, uint32_t device)
{
	uint64_t longest_ns = 0, wait_ns = 0, tenants = 0;

	for (uint32_t i = 0; i < sim->tenant_count; i++) {
		const struct sim_service *service = &sim->tenants[i].on[device];
		uint64_t open_ns = service->present ? sim->now - service->last_served_ns : 0;
		tenants += service->present;
		longest_ns = service->longest_ns > longest_ns ? service->longest_ns : longest_ns;
		wait_ns = open_ns > wait_ns ? open_ns : wait_ns;
		wait_ns = service->longest_gap_ns > wait_ns ? service->longest_gap_ns : wait_ns;
	}
	return (double)wait_ns / (double)(sim->options.ageing_ns + 3 * tenants * longest_ns);
}

static double longest_wait(const struct sim *sim)
{
	double longest = 0;

	for (uint32_t device = 0; device < SIM_DEVICES; device++)
		longest = fmax(longest, longest_wait_on(sim, device));
	return longest;
}

START_TEST(none_gets_further_ahead_than_two_of_the_longest_jobs_and_none_starves)
{
	double worst = 0, worst_of_each = 0, wait = 0;

	for (uint64_t seed = 1; seed <= WORKLOADS; seed++) {
		struct sim_options options = options_of(seed);
		struct sim *sim = random_workload(seed, &options, seed % 8 < 4 ? 100 : 1);
		worst = fmax(worst, sim_worst_lag_of_two(sim));
		wait = fmax(wait, longest_wait(sim));
		/* What is in the hardware is known by its estimate only. */
		if (options.max_in_flight == 1)
			worst_of_each = fmax(worst_of_each, sim_worst_lag(sim));
		sim_free(sim);
	}
	table_row("random workloads: worst lag / (two longest jobs)", -1, worst, "<= 1");
	table_row("... one in flight: worst lag / (longest job of each)", -1, worst_of_each, "<= 1");
	table_row("... longest wait / (ageing + three rounds)", -1, wait, "<= 1");
	ck_assert_double_le(worst, 1);
	ck_assert_double_le(worst_of_each, 1);
	ck_assert_double_le(wait, 1);
}
END_TEST

START_TEST(with_switches_no_tenant_gets_further_ahead_than_two_turns)
{
	double worst = 0;

	for (uint64_t seed = 1; seed <= WORKLOADS; seed++) {
		struct sim_options options = options_of(seed);
		options.switch_ns = (1 + seed * 13 % 40) * MS / 20;
		struct sim *sim = random_workload(seed, &options, seed % 8 < 4 ? 100 : 1);
		worst = fmax(worst, sim_worst_lag_of_turns(sim));
		sim_free(sim);
	}
	table_row("... switches: / two of (switch + quantum + longest job)", -1, worst, "<= 1");
	ck_assert_double_le(worst, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bound");
	TCase *tcase = tcase_create("bound");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, none_gets_further_ahead_than_two_of_the_longest_jobs_and_none_starves);
	tcase_add_test(tcase, with_switches_no_tenant_gets_further_ahead_than_two_turns);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
