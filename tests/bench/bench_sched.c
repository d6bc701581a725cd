/* SPDX-License-Identifier: Apache-2.0 */
/* What a decision of the scheduler costs, beside a binary heap that keeps as many queues in the order of one number. */
#include "tests/bench/bench.h"

#include <stdlib.h>

#include "daemon/policy/sched.h"

#define TENANTS 64u
#define QUEUES 16u /* of each */
#define ALL (TENANTS * QUEUES)

struct sched_bench {
	struct sched *sched;
	struct sched_tenant tenants[TENANTS];
	struct sched_session sessions[TENANTS];
	struct sched_queue queues[ALL];
	struct sched_item items[ALL];
	uint64_t arrivals;
	uint64_t now;
};

static void submit(struct sched_bench *bench, struct sched_item *item)
{
	item->arrival = ++bench->arrivals;
	sched_fair.enqueue(bench->sched, item, bench->now);
}

static struct sched_bench *sched_bench_new(void)
{
	const struct sched_params params = {.devices = 1, .ageing_ns = 500000000, .remainder = {0, 100, 100, 10}};
	struct sched_bench *bench = calloc(1, sizeof(*bench));

	if (!bench || !(bench->sched = sched_fair.create(&params)))
		bench_fail("out of memory");
	for (uint32_t i = 0; i < TENANTS; i++) {
		bench->tenants[i].weight = 1 + i * 15;
		if (sched_fair.tenant_open(bench->sched, &bench->tenants[i]) < 0)
			bench_fail("out of memory");
		bench->sessions[i] = (struct sched_session){.tenant = &bench->tenants[i], .id = i + 1, .weight = 100};
		sched_fair.session_open(bench->sched, &bench->sessions[i]);
	}
	for (uint32_t i = 0; i < ALL; i++) {
		bench->queues[i] = (struct sched_queue){
		    .session = &bench->sessions[i / QUEUES], .class = SCHED_NORMAL, .weight = 1 + i % QUEUES};
		sched_fair.queue_open(bench->sched, &bench->queues[i]);
		bench->items[i] =
		    (struct sched_item){.queue = &bench->queues[i], .estimate_ns = 1000000 + i * 7919 % 1000000};
		submit(bench, &bench->items[i]);
	}
	return bench;
}

static void sched_bench_free(struct sched_bench *bench)
{
	for (uint32_t i = 0; i < ALL; i++)
		sched_fair.remove(bench->sched, &bench->items[i], bench->now);
	for (uint32_t i = 0; i < TENANTS; i++)
		sched_fair.tenant_close(bench->sched, &bench->tenants[i]);
	sched_fair.destroy(bench->sched);
	free(bench);
}

/* Picked, dispatched, ended and submitted again: nanoseconds each. */
static double decide(struct sched_bench *bench, uint32_t count)
{
	uint64_t begin = bench_clock_ns();

	for (uint32_t i = 0; i < count; i++) {
		struct sched_item *item = sched_fair.pick_next(bench->sched, 0, 0, bench->now);
		uint64_t took = item->estimate_ns + i % 1024;
		sched_fair.dispatched(bench->sched, item, bench->now);
		bench->now += took;
		sched_fair.completed(bench->sched, item, took, bench->now);
		submit(bench, item);
	}
	return (double)(bench_clock_ns() - begin) / count;
}

struct plain {
	uint64_t key;
	struct sched_item *item;
};

/* The first gets a new key and sinks to its place: a pop and a push. */
static void sink(struct plain *heap, uint32_t count, struct plain entry)
{
	uint32_t at = 0;

	for (uint32_t child = 1; child < count; child = 2 * at + 1) {
		if (child + 1 < count && heap[child + 1].key < heap[child].key)
			child++;
		if (heap[child].key >= entry.key)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = entry;
}

static double sort_plainly(struct sched_bench *bench, uint32_t count)
{
	static struct plain heap[ALL];
	uint64_t begin = bench_clock_ns();

	for (uint32_t i = 0; i < ALL; i++)
		heap[i] = (struct plain){i, &bench->items[i]};
	for (uint32_t i = 0; i < count; i++) {
		struct plain first = heap[0];
		first.key += first.item->estimate_ns + i % 1024;
		sink(heap, ALL, first);
	}
	return (double)(bench_clock_ns() - begin) / count;
}

void sched_rows(const struct bench_options *options)
{
	uint32_t count = bench_repeats(options, 200000);
	double ours[BENCH_ROUNDS], plain[BENCH_ROUNDS];
	struct sched_bench *bench = sched_bench_new();

	(void)decide(bench, count);
	for (size_t round = 0; round < BENCH_ROUNDS; round++) {
		plain[round] = sort_plainly(bench, count);
		ours[round] = decide(bench, count);
	}
	sched_bench_free(bench);
	bench_row("decision / heap of 1024", bench_median(ours), bench_median(plain), "ns", 0, false);
	bench_row_limit("decision, 64 tenants x 16 queues", bench_median(ours) / 1e3, 2, "us");
}
