/* SPDX-License-Identifier: Apache-2.0 */
/* No-op jobs through npud: one at a time, several at once, and what they make npud allocate. */
#include "tests/bench/bench.h"

#include <stdlib.h>
#include <unistd.h>

#include <npu/npu.h>

#include "tools/wire.h"

#define MAX_DEPTH 64u
#define WARM_UP 50u

struct jobs {
	struct npu_connection *connection;
	struct npu_graph *graph;
	struct npu_job *job[MAX_DEPTH];
	uint64_t ticket[MAX_DEPTH];
};

static void jobs_open(struct jobs *jobs, const char *socket, uint32_t depth)
{
	size_t bytes = 0;
	void *executable = noop_executable(NOOP_TENSORS, &bytes);

	*jobs = (struct jobs){0};
	if (npu_connect(socket, &jobs->connection) < 0 ||
	    npu_graph_load_memory(jobs->connection, executable, bytes, &jobs->graph) < 0)
		bench_fail("the no-op executable: %s", npu_error());
	free(executable);
	for (uint32_t i = 0; i < depth; i++) {
		if (npu_job_create(jobs->graph, &jobs->job[i]) < 0)
			bench_fail("no-op job %u: %s", i, npu_error());
	}
}

static void job_start(struct jobs *jobs, uint32_t i)
{
	if (npu_job_submit(jobs->job[i], NULL, &jobs->ticket[i]) < 0)
		bench_fail("submit: %s", npu_error());
}

static void job_end(struct jobs *jobs, uint32_t i)
{
	struct npu_result result = {0};

	if (npu_wait(jobs->connection, jobs->ticket[i], NPU_WAIT_FOREVER, &result) < 0)
		bench_fail("wait: %s", npu_error());
	if (result.outcome != NPU_DONE)
		bench_fail("the no-op job ended as %s: %s", npu_outcome_name(result.outcome), result.message);
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
	npu_disconnect(jobs.connection);
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
	npu_disconnect(jobs.connection);
	return count / seconds;
}

static uint64_t allocations_ask(int fd)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__StatsQuery query = NPUD__STATS_QUERY__INIT;
	Npud__ServerFrame *frame = NULL;
	struct reason why = {0};

	request.serial = 3;
	request.body_case = NPUD__REQUEST__BODY_STATS_QUERY;
	request.stats_query = &query;
	if (wire_call(fd, &request, &frame, &why) < 0 || frame->reply->body_case != NPUD__REPLY__BODY_STATS)
		bench_fail("statistics: %s", why.text);
	uint64_t allocations = frame->reply->stats->allocations;
	npud__server_frame__free_unpacked(frame, NULL);
	return allocations;
}

double jobs_allocations(const struct bench_options *options, uint32_t count)
{
	struct reason why = {0};
	struct jobs jobs;

	int fd = wire_connect(options->npud, &why);
	if (fd < 0)
		bench_fail("%s", why.text);
	jobs_open(&jobs, options->npud, 1);
	jobs_run(&jobs, WARM_UP);
	(void)allocations_ask(fd);
	uint64_t first = allocations_ask(fd);
	uint64_t second = allocations_ask(fd); /* what asking costs */
	jobs_run(&jobs, count);
	uint64_t third = allocations_ask(fd);
	npu_disconnect(jobs.connection);
	close(fd);
	return (double)(third - second) - (double)(second - first);
}
