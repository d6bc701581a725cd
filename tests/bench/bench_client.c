/* SPDX-License-Identifier: Apache-2.0 */
/* What the rows do as clients of npud; every failure ends the benchmark. */
#include "tests/bench/bench.h"

#include <stdlib.h>

#include "tools/wire.h"

struct bench_client bench_client_open(const char *socket, void *executable, size_t bytes)
{
	struct bench_client client = {0};

	if (npu_connect(socket, &client.connection) < 0 ||
	    npu_graph_load_memory(client.connection, executable, bytes, &client.graph) < 0)
		bench_fail("the executable: %s", npu_error());
	free(executable);
	return client;
}

struct npu_job *bench_job(const struct bench_client *client)
{
	struct npu_job *job = NULL;

	if (npu_job_create(client->graph, &job) < 0)
		bench_fail("a job: %s", npu_error());
	return job;
}

uint64_t bench_submit(struct npu_job *job, uint64_t budget_ns)
{
	const struct npu_submit_options options = {.budget_ns = budget_ns};
	uint64_t ticket = 0;

	if (npu_job_submit(job, &options, &ticket) < 0)
		bench_fail("submit: %s", npu_error());
	return ticket;
}

void bench_wait(const struct bench_client *client, uint64_t ticket, enum npu_outcome outcome)
{
	struct npu_result result = {0};

	if (npu_wait(client->connection, ticket, NPU_WAIT_FOREVER, &result) < 0)
		bench_fail("wait: %s", npu_error());
	if (result.outcome != outcome)
		bench_fail("a job ended %s: %s", npu_outcome_name(result.outcome), result.message);
}

int bench_stats_open(const char *socket)
{
	struct reason why = {0};
	int fd = wire_connect(socket, &why);

	if (fd < 0)
		bench_fail("%s", why.text);
	return fd;
}

Npud__Stats bench_stats(int fd)
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
	Npud__Stats stats = *frame->reply->stats;
	npud__server_frame__free_unpacked(frame, NULL);
	return stats;
}
