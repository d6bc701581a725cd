/* SPDX-License-Identifier: Apache-2.0 */
/* `make bench`: each measurement stands beside its baseline, taken in the same run. */
#ifndef NPUD_TESTS_BENCH_H
#define NPUD_TESTS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <npu/npu.h>

#include "npud.pb-c.h"
#include "tests/bench/bench_table.h"

struct bench_options {
	const char *npud; /* npud's socket */
	const char *device; /* socket of a second software NPU, driven directly */
	long npud_pid;
	const char *corpus; /* folder of conversations as tests/fuzz/wire_rig.h reads them */
	const char *model; /* BlazeFace, compiled */
	const char *dnnl; /* command that prints what oneDNN alone takes for the model, in milliseconds */
	double onnxruntime_ms; /* what onnxruntime-web takes, 0 if it was not measured */
	uint32_t scale; /* per cent of the usual number of repetitions */
};

uint32_t bench_repeats(const struct bench_options *options, uint32_t usual);

/*
 * A program that ends at once, as an executable (bench_noop.c). The caller frees it. An instance of it takes
 * @tensors_bytes for its tensors: NOOP_TENSORS, or as much as is wanted, of which the program touches nothing.
 */
void *noop_executable(uint32_t tensors_bytes, size_t *bytes);
#define NOOP_TASKS 4u
#define NOOP_TENSORS 128u

/* bench_client.c: a connection with one executable, which is released; and what npud says of itself. */
struct bench_client {
	struct npu_connection *connection;
	struct npu_graph *graph;
};
struct bench_client bench_client_open(const char *socket, void *executable, size_t bytes);
struct npu_job *bench_job(const struct bench_client *client);
uint64_t bench_submit(struct npu_job *job, uint64_t budget_ns);
/* It has to end so. */
void bench_wait(const struct bench_client *client, uint64_t ticket, enum npu_outcome outcome);
int bench_stats_open(const char *socket);
Npud__Stats bench_stats(int fd);

/*
 * Every measurement adds one round: @count repetitions, in nanoseconds each, or the jobs per second over @count. Rounds
 * of ours and of the baseline alternate, so that a neighbour's load on the machine falls on both.
 */

/* bench_echo.c: a reply of @reply_bytes to each request of @request_bytes, over a socket of npud's kind. */
void echo_measure(size_t request_bytes, size_t reply_bytes, uint64_t *ns, uint32_t count);
void ping_measure(const struct bench_options *options, uint64_t *ns, uint32_t count);

/* bench_jobs.c: no-op jobs through npud. */
void jobs_latency(const struct bench_options *options, uint64_t *ns, uint32_t count);
double jobs_per_second(const struct bench_options *options, uint32_t depth, uint32_t count);
/* Heap allocations that npud made for @count jobs, after a warm-up. */
double jobs_allocations(const struct bench_options *options, uint32_t count);

/* bench_direct.c: the same job on the device, without npud. */
void direct_latency(const struct bench_options *options, uint64_t *ns, uint32_t count);
double direct_per_second(const struct bench_options *options, uint32_t depth, uint32_t count);

/* bench_sched.c: the scheduler alone */
void sched_rows(const struct bench_options *options);

/* bench_tenants.c: many sessions at once */
void tenants_rows(const struct bench_options *options);
/* bench_trouble.c: how long somebody who hangs or dies is in the way */
void trouble_rows(const struct bench_options *options);

/* bench_hostile.c */
void hostile_rows(const struct bench_options *options);

/* bench_model.c */
void model_rows(const struct bench_options *options);
void memory_rows(const struct bench_options *options);

#endif
