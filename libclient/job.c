/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances of a graph: memory of their own for parameters, tensors and scratch, patched once and then left to the
 * device. Submitting them is in submit.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libclient/error.h"
#include "libclient/objects.h"

/* Mapped and populated here; nobody else has it yet. */
static int make_memory(struct npu_job *job, int *out)
{
	const struct npu_plan *plan = &job->graph->plan;
	int fd;
	int rc = npu_memfd_create(plan->job_bytes, &fd);

	if (rc)
		return rc;
	rc = npu_memfd_map(fd, &job->pool.memory, &job->pool.mapped);
	if (rc == 0)
		rc = npu_memfd_seal(fd, false);
	if (rc) {
		(void)close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

/* Parameters and descriptors with this instance's addresses in them. */
static void write_parameters(struct npu_job *job)
{
	const struct npu_graph *graph = job->graph;
	const struct npu_plan *plan = &graph->plan;

	memcpy(job->pool.memory + plan->rodata.offset, graph->parameters, plan->rodata.bytes);
	if (plan->desc.bytes)
		memcpy(job->pool.memory + plan->desc.offset, graph->parameters + plan->rodata.bytes, plan->desc.bytes);
	npu_plan_patch(plan, job->pool.memory, graph->pool.npu_address, job->pool.npu_address);
}

static int prepare(struct npu_job *job)
{
	struct npu_graph *graph = job->graph;
	const struct npu_plan *plan = &graph->plan;
	int fd;
	int rc = make_memory(job, &fd);

	if (rc)
		return rc;
	/* without groups there is nothing that a device would have to reach */
	if (graph->elf->subgraph_count)
		rc = npu_buffer_import(graph->connection, fd, plan->job_bytes, plan->job_align, false, &job->pool);
	(void)close(fd);
	if (rc)
		return rc;
	write_parameters(job);
	return graph->elf->subgraph_count ? npu_job_describe(graph, &job->pool, &job->handle) : 0;
}

int npu_job_create(struct npu_graph *graph, struct npu_job **out)
{
	struct npu_connection *connection = graph->connection;
	char reason[NPUD_MAX_ERROR_TEXT];
	int rc = npu_link_check(connection);

	if (rc)
		return rc;
	struct npu_job *job = calloc(1, sizeof(*job));

	if (!job)
		return npu_fail(-ENOMEM, "out of memory for a job");
	job->graph = graph;
	rc = prepare(job);
	if (rc) {
		(void)snprintf(reason, sizeof(reason), "%s", npu_error());
		npu_buffer_release(connection, &job->pool);
		free(job);
		return npu_fail(rc, "%s", reason);
	}
	(void)pthread_mutex_lock(&connection->lock);
	job->next = graph->jobs;
	graph->jobs = job;
	(void)pthread_mutex_unlock(&connection->lock);
	*out = job;
	return 0;
}

/* With the lock held, or when nobody else is left: nothing refers to the job afterwards. */
static void forget(struct npu_job *job)
{
	struct npu_connection *connection = job->graph->connection;

	for (struct npu_job **link = &job->graph->jobs; *link; link = &(*link)->next) {
		if (*link == job) {
			*link = job->next;
			break;
		}
	}
	for (uint32_t i = 0; i < connection->credits; i++) {
		if (connection->slots[i].job == job)
			connection->slots[i].job = NULL;
	}
	for (uint32_t i = 0; i < connection->print_count; i++) {
		struct npu_print *print = &connection->prints[(connection->print_head + i) % NPU_PRINT_QUEUE];

		if (print->job == job)
			print->job = NULL;
	}
}

int npu_job_free(struct npu_job *job)
{
	if (!job)
		return 0;
	struct npu_connection *connection = job->graph->connection;
	int rc = npu_link_check(connection);

	if (rc)
		return rc;
	(void)pthread_mutex_lock(&connection->lock);
	uint32_t in_flight = job->in_flight;

	if (in_flight == 0)
		forget(job);
	(void)pthread_mutex_unlock(&connection->lock);
	if (in_flight)
		return npu_fail(-EBUSY, "%u submissions of the job are queued or running: wait for them or cancel them",
				in_flight);
	if (job->handle)
		npu_job_destroy(connection, job->handle);
	npu_buffer_release(connection, &job->pool);
	free(job);
	npu_error_clear();
	return 0;
}

void npu_job_drop(struct npu_job *job)
{
	forget(job);
	job->pool.handle = 0;
	npu_buffer_release(job->graph->connection, &job->pool);
	free(job);
}

void *npu_job_tensor(struct npu_job *job, enum npu_direction direction, uint32_t index, size_t *bytes)
{
	struct npu_graph *graph = job->graph;

	if (index >= npu_graph_tensor_count(graph, direction)) {
		if (!*npu_error())
			(void)npu_fail(-ENOENT, "no %s tensor %u", direction == NPU_INPUT ? "input" : "output", index);
		return NULL;
	}
	const struct npu_elf_sub *sub = &graph->elf->subs[graph->elf->tensors[direction][index].sub];

	if (bytes)
		*bytes = sub->bytes;
	return job->pool.memory + graph->plan.reuse_at[sub->section] + sub->offset;
}
