/* SPDX-License-Identifier: Apache-2.0 */
/* A thousand sessions: what they weigh, and what a job costs when a hundred of them work, beside one that is alone. */
#include "tests/bench/bench.h"

#include <stdlib.h>
#include <time.h>

#define SESSIONS 1000u
#define ACTIVE 100u
#define INSTANCES 4u
#define DEPTH 64u /* jobs that each has queued at a time */

struct worker {
	struct bench_client client;
	struct npu_job *job[INSTANCES];
	uint64_t ticket[DEPTH];
};

/* Of one job. */
struct cost {
	double cpu_us; /* of npud */
	double us;
};

/* So many sessions, of which some work: evenly spread. */
struct crowd {
	uint32_t active;
	uint32_t sessions;
	uint32_t batches; /* of `depth` jobs each */
	uint32_t depth;
};

static void worker_open(struct worker *worker, const char *socket)
{
	size_t bytes = 0;
	void *executable = noop_executable(NOOP_TENSORS, &bytes);

	worker->client = bench_client_open(socket, executable, bytes);
	for (uint32_t i = 0; i < INSTANCES; i++)
		worker->job[i] = bench_job(&worker->client);
}

static uint64_t npud_cpu_ns(const struct bench_options *options)
{
	struct timespec used = {0};
	clockid_t clock;

	if (clock_getcpuclockid((pid_t)options->npud_pid, &clock) != 0 || clock_gettime(clock, &used) < 0)
		bench_fail("npud's processor time cannot be read");
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static void batch(struct worker *workers, const struct crowd *crowd)
{
	for (uint32_t w = 0; w < crowd->active; w++)
		for (uint32_t i = 0; i < crowd->depth; i++)
			workers[w].ticket[i] = bench_submit(workers[w].job[i % INSTANCES], 0);
	for (uint32_t w = 0; w < crowd->active; w++)
		for (uint32_t i = 0; i < crowd->depth; i++)
			bench_wait(&workers[w].client, workers[w].ticket[i], NPU_DONE);
}

static struct cost measure(const struct bench_options *options, struct worker *workers, const struct crowd *crowd)
{
	double jobs = (double)crowd->batches * crowd->active * crowd->depth;

	batch(workers, crowd);
	uint64_t cpu = npud_cpu_ns(options), start = bench_clock_ns();
	for (uint32_t i = 0; i < crowd->batches; i++)
		batch(workers, crowd);
	return (struct cost){.cpu_us = (double)(npud_cpu_ns(options) - cpu) / jobs / 1e3,
			     .us = (double)(bench_clock_ns() - start) / jobs / 1e3};
}

static struct cost cost_among(const struct bench_options *options, struct crowd crowd)
{
	struct npu_connection *idle[SESSIONS] = {NULL};
	struct worker *workers = calloc(crowd.active, sizeof(*workers));
	uint32_t every = crowd.sessions / crowd.active;

	if (!workers)
		bench_fail("out of memory");
	for (uint32_t i = 0; i < crowd.sessions; i++) {
		if (i % every == 0)
			worker_open(&workers[i / every], options->npud);
		else if (npu_connect(options->npud, &idle[i]) < 0)
			bench_fail("session %u: %s", i, npu_error());
	}
	struct cost cost = measure(options, workers, &crowd);
	for (uint32_t i = 0; i < crowd.sessions; i++)
		npu_disconnect(idle[i]);
	for (uint32_t i = 0; i < crowd.active; i++)
		npu_disconnect(workers[i].client.connection);
	free(workers);
	return cost;
}

void tenants_rows(const struct bench_options *options)
{
	enum { ALONE, WATCHED, AMONG, CROWDS };
	double cpu[CROWDS][BENCH_ROUNDS], us[CROWDS][BENCH_ROUNDS];
	uint32_t depth = options->scale < 10 ? DEPTH / 8 : DEPTH;
	const struct crowd crowds[] = {
	    {1, 1, ACTIVE, depth}, {1, SESSIONS, ACTIVE, depth}, {ACTIVE, SESSIONS, 1, depth}};

	for (size_t round = 0; round < BENCH_ROUNDS; round++)
		for (size_t i = 0; i < CROWDS; i++) {
			struct cost cost = cost_among(options, crowds[i]);

			cpu[i][round] = cost.cpu_us;
			us[i][round] = cost.us;
		}
	double alone = bench_median(cpu[ALONE]);
	bench_row("npud per job, 1 of 1000 / 1", bench_median(cpu[WATCHED]), alone, "us", 1.2, false);
	bench_row("npud per job, 100 of 1000 / 1", bench_median(cpu[AMONG]), alone, "us", 1.2, false);
	bench_row("job, 100 of 1000 / 1", bench_median(us[AMONG]), bench_median(us[ALONE]), "us", 1.2, false);
}
