/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets how much of a device, and when, on the host's clock: npud's policy beside first come, first served. */
#ifndef NPUD_TESTS_BENCH_FAIR_H
#define NPUD_TESTS_BENCH_FAIR_H

#include <npu/npu.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/bench/bench_table.h"

#define MS 1000000u
#define MAX_DEPTH 8u
/* A tenant is a user, counted from this one, where root measures; else all that is measured is one tenant's. */
#define FIRST_USER 61000u

/* A client process that keeps `depth` submissions queued. */
struct flow {
	const char *socket;
	uint32_t tenant;
	uint32_t depth;
	uint32_t job_ns;
	bool urgent; /* its class is high */
};

/* One connection of a flow, with an instance of its job for each submission. */
struct line {
	struct npu_connection *connection;
	struct npu_queue *queue; /* NULL: the session's own */
	struct npu_job *jobs[MAX_DEPTH];
	uint64_t tickets[MAX_DEPTH];
};

void line_open(struct line *line, const struct flow *flow);
void line_submit(struct line *line, uint32_t i);
/* Its device time. */
uint64_t line_wait(struct line *line, uint32_t i);
/* Submits and waits: nanoseconds. */
uint64_t line_run(struct line *line);

/*
 * Processes for all flows, that wait for each other and work from flows_start() until flows_end(). What each got of
 * the device from flows_mark() on goes to `got_ns`.
 */
void flows_start(const struct flow *flows, uint32_t count);
void flows_mark(void);
void flows_end(uint64_t *got_ns);

#endif
