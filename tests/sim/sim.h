/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices, tenants and what they submit, in virtual time: the shipped scheduler and quantum decide, a small model of a
 * device that nothing preempts obeys. Two runs with one seed are the same to the nanosecond.
 */
#ifndef NPUD_TESTS_SIM_H
#define NPUD_TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/policy/quantum.h"
#include "daemon/policy/sched.h"
#include "tests/sim/random.h"

#define MS 1000000ull
#define SECOND (1000 * MS)

#define SIM_DEVICES 3u
#define SIM_TENANTS 64u
#define SIM_STREAMS 256u
#define SIM_DEPTH 64u
#define SIM_IN_FLIGHT 8u

struct sim_options {
	const struct sched_ops *ops;
	uint64_t seed;
	uint64_t ageing_ns;
	uint32_t remainder[SCHED_CLASSES];
	uint32_t max_in_flight; /* 0: 2, or one for each core */
	uint32_t cores; /* of a device: with more than one, each runs a job of whoever is next. 0: 1 */
	uint64_t switch_ns; /* what a change of session takes */
	bool blind; /* the scheduler hears of no deadline */
	bool lag; /* measure it between the tenants of a device: all of them have work there all the time */
};

struct sim_item {
	struct sched_item item;
	struct sim_stream *stream;
	uint64_t device_ns; /* what it will take */
	uint64_t submitted_ns;
	uint64_t ends_ns; /* once it has started */
	bool used;
};

/* One session with one queue, and who submits to it. */
struct sim_stream {
	struct sched_session session;
	struct sched_queue queue;
	uint32_t tenant;
	uint64_t mean_ns;
	uint32_t depth; /* so many at a time, the next when one ends; 0: one each `period_ns` */
	uint64_t period_ns;
	uint64_t start_ns;
	uint64_t next_ns; /* the next submission by the clock */
	uint64_t estimate_ns;
	uint64_t within_ns; /* deadline of each, from its submission; 0: none */
	uint64_t missed; /* submissions for which there was no room */
	uint64_t shed; /* that never ran */
	uint64_t in_time, in_time_ns; /* that met their deadlines */
	struct sim_item items[SIM_DEPTH];
	uint64_t *latency_ns;
	size_t latencies;
	size_t room;
};

/* What a tenant got on a device. */
struct sim_service {
	bool present; /* it has a stream there */
	uint64_t served_ns;
	uint64_t longest_ns; /* job */
	uint64_t last_served_ns;
	uint64_t longest_gap_ns; /* between two of its starts */
};

struct sim_tenant {
	struct sched_tenant share;
	struct sim_service on[SIM_DEVICES];
};

struct sim_device {
	struct quantum quantum;
	struct sim_item *in_flight[SIM_IN_FLIGHT];
	uint32_t count, started; /* in flight; the first so many of them are on a core */
	struct sim_stream *attached, *target;
	enum sched_class target_class;
	uint64_t switched_ns; /* when the switch under way ends */
	uint64_t busy_ns;
	uint64_t switching_ns;
	/* service by weight that one tenant had more than another */
	double lag_low[SIM_TENANTS][SIM_TENANTS], lag_high[SIM_TENANTS][SIM_TENANTS];
};

struct sim {
	struct sim_options options;
	struct sched *sched;
	struct random random;
	uint64_t now;
	uint64_t arrivals;
	uint32_t tenant_count, stream_count;
	struct sim_tenant tenants[SIM_TENANTS];
	struct sim_stream streams[SIM_STREAMS];
	struct sim_device devices[SIM_DEVICES];
};

struct sim *sim_new(const struct sim_options *options);
void sim_free(struct sim *sim);
uint32_t sim_tenant(struct sim *sim, uint32_t weight, uint32_t time_permille);
/*
 * From `template` the public fields: tenant, mean_ns, estimate_ns, within_ns, depth or period_ns, start_ns; class and
 * device beside it.
 */
struct sim_stream *sim_stream(struct sim *sim, const struct sim_stream *template, enum sched_class class,
			      uint32_t device);
/* Until that time. */
void sim_run(struct sim *sim, uint64_t until_ns);
/* What is measured begins now: what jobs take is known. */
void sim_measure(struct sim *sim);

/* Jain's index over device time by weight; of the first @count tenants. */
double sim_jain(const struct sim *sim, uint32_t count);
double sim_share(const struct sim *sim, uint32_t tenant);
uint64_t sim_served(const struct sim *sim, uint32_t tenant);
/*
 * The largest difference of two tenants' service by weight on a device over any interval, as a part of what start-time
 * fair queueing allows them: the longest job of each by its weight, and one switch. Without tenants whose small weight
 * ageing makes up for.
 */
double sim_worst_lag(const struct sim *sim);
/* The same of tenants of weight 100, as a part of two of the longest jobs of all, and one switch. */
double sim_worst_lag_of_two(const struct sim *sim);
/* The same as a part of two turns: each is a switch, a quantum and one of the longest jobs. */
double sim_worst_lag_of_turns(const struct sim *sim);
/* In milliseconds. Sorts. */
double sim_percentile(struct sim_stream *stream, double part);

#endif
