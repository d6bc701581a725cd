/* SPDX-License-Identifier: Apache-2.0 */
/* Whole models: loading one beside copying it, running one beside other runtimes, and what npud itself weighs. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <npu/npu.h>

#include "tools/file.h"

#define CONNECTIONS 1000
#define MODEL_MAX_BYTES (256u << 20)

/* What cannot be avoided: a plain copy of the file's bytes into fresh shared memory. */
static uint64_t copy_once(const uint8_t *data, size_t bytes)
{
	uint64_t start = bench_clock_ns();
	int fd = memfd_create("bench-copy", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		bench_fail("no memory file");
	void *to = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (to == MAP_FAILED)
		bench_fail("the memory file cannot be mapped");
	memcpy(to, data, bytes);
	uint64_t ns = bench_clock_ns() - start;
	munmap(to, bytes);
	close(fd);
	return ns;
}

static uint64_t load_once(struct npu_connection *connection, const uint8_t *data, size_t bytes)
{
	struct npu_graph *graph = NULL;
	uint64_t start = bench_clock_ns();

	if (npu_graph_load_memory(connection, data, bytes, &graph) < 0)
		bench_fail("the model: %s", npu_error());
	uint64_t ns = bench_clock_ns() - start;
	if (npu_graph_free(graph) < 0)
		bench_fail("the model cannot be released: %s", npu_error());
	return ns;
}

static void load_row(const struct bench_options *options, const uint8_t *data, size_t bytes)
{
	uint32_t count = bench_repeats(options, 50);
	uint64_t *copy = calloc(count, sizeof(*copy)), *load = calloc(count, sizeof(*load));
	struct npu_connection *connection = NULL;

	if (!copy || !load || npu_connect(options->npud, &connection) < 0)
		bench_fail("npud: %s", npu_error());
	for (uint32_t i = 0; i < count; i++) {
		copy[i] = copy_once(data, bytes);
		load[i] = load_once(connection, data, bytes);
	}
	npu_disconnect(connection);
	bench_row("load / copy file to fresh memory", bench_latency(load, count).p50_us,
		  bench_latency(copy, count).p50_us, "us", 2.0, false);
	free(copy);
	free(load);
}

struct model {
	struct npu_connection *connection;
	struct npu_graph *graph;
	struct npu_job *job;
};

static void model_open(struct model *model, const char *socket, const uint8_t *data, size_t bytes)
{
	if (npu_connect(socket, &model->connection) < 0 ||
	    npu_graph_load_memory(model->connection, data, bytes, &model->graph) < 0 ||
	    npu_job_create(model->graph, &model->job) < 0)
		bench_fail("the model: %s", npu_error());
}

static double run_ms(const struct model *model, uint32_t count)
{
	uint64_t *ns = calloc(count, sizeof(*ns));

	if (!ns)
		bench_fail("out of memory");
	for (uint32_t i = 0; i < count + 2; i++) {
		uint64_t start = bench_clock_ns();

		if (npu_job_run(model->job, NULL) < 0)
			bench_fail("the model: %s", npu_error());
		ns[i < 2 ? 0 : i - 2] = bench_clock_ns() - start;
	}
	double ms = bench_latency(ns, count).p50_us / 1e3;
	free(ns);
	return ms;
}

/* The command prints one number; 0 if it cannot. */
static double command_ms(const char *command)
{
	char line[64] = "";

	if (!command)
		return 0;
	FILE *pipe = popen(command, "re"); /* NOLINT(cert-env33-c): the command is the developer's own argument */
	if (!pipe)
		return 0;
	bool read = fgets(line, sizeof(line), pipe) != NULL;
	return pclose(pipe) == 0 && read ? strtod(line, NULL) : 0;
}

static void run_rows(const struct bench_options *options, const uint8_t *data, size_t bytes)
{
	double ours[BENCH_ROUNDS], alone[BENCH_ROUNDS];
	struct model model = {0};

	model_open(&model, options->npud, data, bytes);
	for (size_t round = 0; round < BENCH_ROUNDS; round++) {
		ours[round] = run_ms(&model, bench_repeats(options, 40));
		alone[round] = command_ms(options->dnnl);
	}
	npu_disconnect(model.connection);
	double median = bench_median(ours);
	if (alone[0] > 0)
		bench_row("BlazeFace / oneDNN alone", median, bench_median(alone), "ms", 1.3, false);
	else
		bench_row_missing("BlazeFace / oneDNN alone", "it was not measured");
	if (options->onnxruntime_ms > 0)
		bench_row("BlazeFace / onnxruntime-web", median, options->onnxruntime_ms, "ms", 0, false);
	else
		bench_row_missing("BlazeFace / onnxruntime-web", "it was not measured");
}

void model_rows(const struct bench_options *options)
{
	struct reason why = {0};
	uint8_t *data = NULL;
	size_t bytes = 0;

	if (file_read(options->model, MODEL_MAX_BYTES, &data, &bytes, &why) < 0)
		bench_fail("%s", why.text);
	load_row(options, data, bytes);
	run_rows(options, data, bytes);
	free(data);
}

static double resident_kib(long pid)
{
	char path[64], line[256];
	double kib = 0;

	(void)snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	FILE *file = fopen(path, "re");
	if (!file)
		bench_fail("npud's memory cannot be read: %s", path);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtod(line + 6, NULL);
	}
	(void)fclose(file);
	return kib;
}

void memory_rows(const struct bench_options *options)
{
	struct npu_connection *connections[CONNECTIONS] = {NULL};

	if (options->npud_pid <= 0) {
		bench_row_missing("npud's memory", "no process id was given");
		return;
	}
	double idle = resident_kib(options->npud_pid);
	bench_row_limit("idle npud, resident", idle / 1024, 8, "MiB");
	int open = 0;
	while (open < CONNECTIONS && npu_connect(options->npud, &connections[open]) == 0)
		open++;
	double busy = resident_kib(options->npud_pid);
	for (int i = 0; i < open; i++)
		npu_disconnect(connections[i]);
	if (open < CONNECTIONS)
		bench_fail("only %d sessions: %s", open, npu_error());
	bench_row_limit("npud per session, 1000 sessions", (busy - idle) / open, 64, "KiB");
}
