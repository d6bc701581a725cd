/* SPDX-License-Identifier: Apache-2.0 */
/* What npud itself grows by for each GiB that a client has mapped for its device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <npu/npu.h>

#include "tests/bench/guest/bench_guest.h"

#define INSTANCES 16u /* together 1 GiB */
#define LEAST_INSTANCES 4u
#define INSTANCE_BYTES ((uint32_t)(62 * MIB)) /* with stack and private data less than 64 MiB */

static double resident_mib(long pid)
{
	char path[64], line[256];
	double kib = -1;

	(void)snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtod(line + 6, NULL);
	if (!file || kib < 0)
		bench_fail("npud's memory cannot be read: %s", path);
	(void)fclose(file);
	return kib / 1024;
}

/* Bytes that the device reaches now. */
static double live_gib(struct npu_connection *connection)
{
	struct npu_maps *maps = NULL;
	struct npu_maps_session session = {0};

	if (npu_maps_read(connection, 0, &maps) < 0 || npu_maps_session(maps, 0, &session) < 0)
		bench_fail("npud's maps: %s", npu_error());
	npu_maps_free(maps);
	return (double)session.live_bytes / (double)GIB;
}

static void run_instances(struct npu_connection *connection, uint32_t tensors_bytes, uint32_t count)
{
	struct npu_graph *graph = NULL;
	size_t bytes = 0;
	void *executable = noop_executable(tensors_bytes, &bytes);

	if (npu_graph_load_memory(connection, executable, bytes, &graph) < 0)
		bench_fail("the no-op program: %s", npu_error());
	for (uint32_t i = 0; i < count; i++) {
		struct npu_job *job = NULL;

		if (npu_job_create(graph, &job) < 0 || npu_job_run(job, NULL) < 0)
			bench_fail("instance %u of %u bytes: %s", i, tensors_bytes, npu_error());
	}
	free(executable);
}

void npud_memory_row(const struct guest *guest)
{
	uint32_t wanted = INSTANCES * guest->scale / 100;
	uint32_t instances = wanted > INSTANCES ? INSTANCES : wanted < LEAST_INSTANCES ? LEAST_INSTANCES : wanted;
	struct npu_connection *connection = NULL;
	char name[64];

	if (npu_connect(guest->socket, &connection) < 0)
		bench_fail("npud: %s", npu_error());
	/* As many small ones first: a connection and its jobs have a price of their own. */
	run_instances(connection, NOOP_TENSORS, instances);
	double before = resident_mib(guest->npud_pid), before_gib = live_gib(connection);
	run_instances(connection, INSTANCE_BYTES, instances);
	double after = resident_mib(guest->npud_pid), mapped = live_gib(connection) - before_gib;
	npu_disconnect(connection);
	if (mapped < 0.9 * instances / INSTANCES)
		bench_fail("only %.2f GiB are mapped", mapped);
	(void)snprintf(name, sizeof(name), "npud per mapped GiB, %s", guest->iommu);
	bench_row_limit(name, (after - before) / mapped, 1, "MiB");
}
