/* SPDX-License-Identifier: Apache-2.0 */
/* No-op jobs through npud: one at a time, several at once, and what they make npud allocate. */
#include "tests/bench/bench.h"

#include <unistd.h>

#define MAX_DEPTH 64u
#define WARM_UP 50u

struct jobs {
	struct bench_client client;
	struct npu_job *job[MAX_DEPTH];
	uint64_t ticket[MAX_DEPTH];
};

static void jobs_open(struct jobs *jobs, const char *socket, uint32_t depth)
{
	size_t bytes = 0;
	void *executable = noop_executable(NOOP_TENSORS, &bytes);

	*jobs = (struct jobs){.client = bench_client_open(socket, executable, bytes)};
	for (uint32_t i = 0; i < depth; i++)
		jobs->job[i] = bench_job(&jobs->client);
}

static void job_start(struct jobs *jobs, uint32_t i)
{
	jobs->ticket[i] = bench_submit(jobs->job[i], 0);
}

static void job_end(struct jobs *jobs, uint32_t i)
{
	bench_wait(&jobs->client, jobs->ticket[i], NPU_DONE);
}

static void jobs_run(struct jobs *jobs, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		job_start(jobs, 0);
		job_end(jobs, 0);
	}
}

void jobs_latency(const struct bench_options *options, uint64_t *ns, uint32_t count)
{
	struct jobs jobs;

	jobs_open(&jobs, options->npud, 1);
	jobs_run(&jobs, WARM_UP);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t start = bench_clock_ns();

		jobs_run(&jobs, 1);
		ns[i] = bench_clock_ns() - start;
	}
	npu_disconnect(jobs.client.connection);
}

double jobs_per_second(const struct bench_options *options, uint32_t depth, uint32_t count)
{
	struct jobs jobs;

	if (depth == 0 || depth > MAX_DEPTH)
		bench_fail("depth %u", depth);
	jobs_open(&jobs, options->npud, depth);
	jobs_run(&jobs, WARM_UP);
	uint64_t start = bench_clock_ns();
	for (uint32_t i = 0; i < depth && i < count; i++)
		job_start(&jobs, i);
	for (uint32_t i = 0; i < count; i++) {
		job_end(&jobs, i % depth);
		if (i + depth < count)
			job_start(&jobs, i % depth);
	}
	double seconds = (double)(bench_clock_ns() - start) / 1e9;
	npu_disconnect(jobs.client.connection);
	return count / seconds;
}

double jobs_allocations(const struct bench_options *options, uint32_t count)
{
	struct jobs jobs;
	int fd = bench_stats_open(options->npud);

	jobs_open(&jobs, options->npud, 1);
	jobs_run(&jobs, WARM_UP);
	(void)bench_stats(fd);
	uint64_t first = bench_stats(fd).allocations;
	uint64_t second = bench_stats(fd).allocations; /* what asking costs */
	jobs_run(&jobs, count);
	uint64_t third = bench_stats(fd).allocations;
	npu_disconnect(jobs.client.connection);
	close(fd);
	return (double)(third - second) - (double)(second - first);
}
