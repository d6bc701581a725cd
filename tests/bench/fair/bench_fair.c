/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_fair: shares, waiting and idle time on the host's clock, as lines of the benchmark's table. One npud with the
 * policy `fair` and one with `fifo` have a software NPU each; they are measured one after the other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/fair/fair.h"

#define SESSIONS 100u
#define IN_FLIGHT 2u /* jobs of a millisecond that npud has in the hardware */

struct sides {
	const char *fair, *fifo;
	uint32_t scale; /* per cent of the usual time and number */
};

static uint32_t scaled(const struct sides *sides, uint32_t usual, uint32_t least)
{
	uint64_t scaled = (uint64_t)usual * sides->scale / 100;

	return scaled < least ? least : (uint32_t)scaled;
}

static void sleep_ms(uint32_t ms)
{
	const struct timespec time = {ms / 1000, ms % 1000 * (long)MS};

	(void)nanosleep(&time, NULL);
}

/* ------------------------------------------------------------------ shares */

struct stage {
	const char *name;
	struct flow flows[SESSIONS + 1];
	uint32_t count;
	uint32_t first, tenants; /* that take part */
	double due[3]; /* the part of each tenant */
};

/* How much of what is due to him the tenant who is furthest off has too little or too much, in per cent. */
static double off_share(const struct stage *stage, const uint64_t *got_ns)
{
	double tenants[3] = {0}, total = 0, worst = 0;

	for (uint32_t i = 0; i < stage->count; i++) {
		tenants[stage->flows[i].tenant - stage->first] += (double)got_ns[i];
		total += (double)got_ns[i];
	}
	for (uint32_t t = 0; t < stage->tenants; t++) {
		double off = tenants[t] / total / stage->due[t] - 1;
		worst = off > worst ? off : -off > worst ? -off : worst;
	}
	return 100 * worst;
}

static double measure(const struct sides *sides, struct stage *stage, const char *socket)
{
	uint64_t got_ns[SESSIONS + 1];

	for (uint32_t i = 0; i < stage->count; i++)
		stage->flows[i].socket = socket;
	flows_start(stage->flows, stage->count);
	sleep_ms(scaled(sides, 500, 50));
	flows_mark();
	sleep_ms(scaled(sides, 2000, 200));
	flows_end(got_ns);
	return off_share(stage, got_ns);
}

static void share_row(const struct sides *sides, struct stage *stage)
{
	double fair = measure(sides, stage, sides->fair);

	bench_row(stage->name, fair, measure(sides, stage, sides->fifo), "%", 0.1, false);
}

static void users_row(const struct sides *sides, struct stage *stage)
{
	if (getuid() == 0)
		share_row(sides, stage);
	else
		bench_row_missing(stage->name, "only root can be several users");
}

static void share_rows(const struct sides *sides)
{
	struct stage lengths = {
	    .name = "off its share: 1 beside 20 ms jobs",
	    .flows = {{.tenant = 0, .depth = 8, .job_ns = MS}, {.tenant = 1, .depth = 8, .job_ns = 20 * MS}},
	    .count = 2,
	    .tenants = 2,
	    .due = {1 / 2.0, 1 / 2.0}};
	/* as scripts/bench_fair.sh configures them */
	struct stage weights = {.name = "off its share: weights 1, 2, 4",
				.flows = {{.tenant = 2, .depth = 8, .job_ns = MS},
					  {.tenant = 3, .depth = 8, .job_ns = MS},
					  {.tenant = 4, .depth = 8, .job_ns = MS}},
				.count = 3,
				.first = 2,
				.tenants = 3,
				.due = {1 / 7.0, 2 / 7.0, 4 / 7.0}};
	struct stage sessions = {.name = "off its share: 1 and 100 sessions",
				 .flows = {{.tenant = 0, .depth = 1, .job_ns = MS}},
				 .count = SESSIONS + 1,
				 .tenants = 2,
				 .due = {1 / 2.0, 1 / 2.0}};

	for (uint32_t i = 1; i < sessions.count; i++)
		sessions.flows[i] = (struct flow){.tenant = 1, .depth = 1, .job_ns = MS};
	share_row(sides, &lengths);
	users_row(sides, &weights);
	users_row(sides, &sessions);
}

/* ------------------------------------------------------------------ interactive beside a flood */

/* A tenth of a millisecond of work, beside clients that keep jobs of one millisecond queued. */
static const struct flow interactive = {.depth = 1, .job_ns = MS / 10, .urgent = true};
static const struct flow flood = {.tenant = 1, .depth = 8, .job_ns = MS};

/* Of `count` jobs by so many connections in turn, of which each finds the device with the other; with pauses or not. */
static struct latency latency_of(const struct flow *flow, const char *socket, uint32_t connections, uint32_t count,
				 bool pauses)
{
	uint64_t *ns = calloc(count, sizeof(*ns));
	struct flow own = *flow;
	struct line lines[2];

	if (!ns)
		bench_fail("out of memory");
	own.socket = socket;
	for (uint32_t i = 0; i < connections; i++)
		line_open(&lines[i], &own);
	for (uint32_t i = 0; i < count; i++) {
		if (pauses)
			sleep_ms(3 + i % 4);
		ns[i] = line_run(&lines[i % connections]);
	}
	for (uint32_t i = 0; i < connections; i++)
		npu_disconnect(lines[i].connection);
	struct latency latency = bench_latency(ns, count);
	free(ns);
	return latency;
}

static struct latency beside_flood(const char *socket, uint32_t count)
{
	struct flow other = flood;

	other.socket = socket;
	flows_start(&other, 1);
	struct latency latency = latency_of(&interactive, socket, 1, count, true);
	flows_end(NULL);
	return latency;
}

/* The bound: its own time and a change of tenure, and what is in the hardware when it comes. */
static void interactive_rows(const struct sides *sides)
{
	uint32_t count = scaled(sides, 300, 20);
	struct latency with_switch = latency_of(&interactive, sides->fair, 2, count, false);
	struct latency job = latency_of(&flood, sides->fair, 1, count, false);
	struct latency fair = beside_flood(sides->fair, count), fifo = beside_flood(sides->fifo, count);

	bench_row("beside a flood, p99 / bound", fair.p99_us, with_switch.p99_us + IN_FLIGHT * job.p50_us, "us", 1,
		  false);
	bench_row("beside a flood, p50 / fifo", fair.p50_us, fifo.p50_us, "us", 0.5, false);
}

/* ------------------------------------------------------------------ idle time */

/* Of the time from the first doorbell to the last end: between an end and a doorbell that rang later, in per cent. */
static double idle_part(struct npu_connection *connection, uint64_t from)
{
	struct npu_timeline *timeline = NULL;
	struct npu_timeline_entry entry, first, last = {0};
	double idle = 0;

	if (npu_timeline_read(connection, from, &timeline) < 0 || npu_timeline_entry(timeline, 0, &first) < 0)
		bench_fail("the timeline: %s", npu_error());
	for (size_t i = 0; npu_timeline_entry(timeline, i, &entry) == 0; i++) {
		if (i && entry.started_ns > last.finished_ns)
			idle += (double)(entry.started_ns - last.finished_ns);
		last = entry;
	}
	npu_timeline_free(timeline);
	return 100 * idle / (double)(last.finished_ns - first.started_ns);
}

static uint64_t timeline_end(struct npu_connection *connection)
{
	struct npu_timeline *timeline = NULL;

	if (npu_timeline_read(connection, 0, &timeline) < 0)
		bench_fail("the timeline: %s", npu_error());
	uint64_t next = npu_timeline_next(timeline);
	npu_timeline_free(timeline);
	return next;
}

static void idle_row(const struct sides *sides, const char *name, uint32_t job_ns, double limit)
{
	const struct flow flow = {.socket = sides->fair, .depth = MAX_DEPTH, .job_ns = job_ns};
	uint32_t count = scaled(sides, 2000, 50);
	struct line line;

	line_open(&line, &flow);
	for (uint32_t i = 0; i < MAX_DEPTH; i++)
		(void)line_run(&line); /* what they take is known */
	uint64_t from = timeline_end(line.connection);
	for (uint32_t i = 0; i < count + MAX_DEPTH; i++) {
		if (i >= MAX_DEPTH)
			(void)line_wait(&line, i % MAX_DEPTH);
		if (i < count)
			line_submit(&line, i % MAX_DEPTH);
	}
	bench_row_limit(name, idle_part(line.connection, from), limit, "%");
	npu_disconnect(line.connection);
}

int main(int argc, char **argv)
{
	if (argc != 4 || strtoul(argv[3], NULL, 10) < 1) {
		(void)fprintf(stderr, "usage: bench_fair FAIR-SOCKET FIFO-SOCKET SCALE\n");
		return 2;
	}
	const struct sides sides = {argv[1], argv[2], (uint32_t)strtoul(argv[3], NULL, 10)};

	share_rows(&sides);
	interactive_rows(&sides);
	idle_row(&sides, "idle between jobs of 1 ms", MS, 1);
	idle_row(&sides, "idle between jobs of 100 us", MS / 10, 5);
	return EXIT_SUCCESS;
}
