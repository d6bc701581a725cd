/* SPDX-License-Identifier: Apache-2.0 */
/* The events of the simulation, in order of virtual time; see sim.h. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_AHEAD_NS (5 * MS)
#define VARIATION 0.1

static void *allocate(size_t bytes)
{
	void *memory = calloc(1, bytes);

	if (!memory)
		abort();
	return memory;
}

struct sim *sim_new(const struct sim_options *options)
{
	struct sched_params params = {.devices = SIM_DEVICES, .ageing_ns = options->ageing_ns};
	struct sim *sim = allocate(sizeof(*sim));

	sim->options = *options;
	if (sim->options.max_in_flight == 0)
		sim->options.max_in_flight = 2;
	memcpy(params.remainder, options->remainder, sizeof(params.remainder));
	sim->sched = options->ops->create(&params);
	sim->random.state = options->seed;
	return sim;
}

void sim_free(struct sim *sim)
{
	const struct sched_ops *ops = sim->options.ops;

	for (uint32_t i = 0; i < sim->stream_count; i++) {
		struct sim_stream *stream = &sim->streams[i];
		for (uint32_t j = 0; j < SIM_DEPTH; j++)
			if (stream->items[j].used)
				ops->remove(sim->sched, &stream->items[j].item, sim->now);
		ops->queue_close(sim->sched, &stream->queue);
		ops->session_close(sim->sched, &stream->session);
		free(stream->latency_ns);
	}
	for (uint32_t i = 0; i < sim->tenant_count; i++)
		ops->tenant_close(sim->sched, &sim->tenants[i].share);
	ops->destroy(sim->sched);
	free(sim);
}

uint32_t sim_tenant(struct sim *sim, uint32_t weight, uint32_t time_permille)
{
	struct sim_tenant *tenant = &sim->tenants[sim->tenant_count];

	tenant->share = (struct sched_tenant){.weight = weight, .time_permille = time_permille};
	if (sim->options.ops->tenant_open(sim->sched, &tenant->share) < 0)
		abort();
	return sim->tenant_count++;
}

struct sim_stream *sim_stream(struct sim *sim, const struct sim_stream *template, enum sched_class class,
			      uint32_t device)
{
	struct sim_stream *stream = &sim->streams[sim->stream_count++];

	*stream = *template;
	stream->session = (struct sched_session){.tenant = &sim->tenants[template->tenant].share,
						 .id = sim->stream_count,
						 .device = device,
						 .weight = SCHED_DEFAULT_WEIGHT};
	stream->queue =
	    (struct sched_queue){.session = &stream->session, .class = class, .weight = SCHED_DEFAULT_WEIGHT};
	stream->next_ns = stream->start_ns;
	stream->estimate_ns = MS;
	sim->options.ops->session_open(sim->sched, &stream->session);
	sim->options.ops->queue_open(sim->sched, &stream->queue);
	return stream;
}

/* ------------------------------------------------------------------ what is submitted */

static void submit(struct sim *sim, struct sim_stream *stream)
{
	struct sim_item *free_item = NULL;

	for (uint32_t i = 0; i < SIM_DEPTH && !free_item; i++)
		if (!stream->items[i].used)
			free_item = &stream->items[i];
	if (!free_item) {
		stream->missed++;
		return;
	}
	*free_item = (struct sim_item){
	    .item = {.queue = &stream->queue, .arrival = ++sim->arrivals, .estimate_ns = stream->estimate_ns},
	    .stream = stream,
	    .device_ns = random_lognormal(&sim->random, stream->mean_ns, VARIATION),
	    .submitted_ns = sim->now,
	    .used = true,
	};
	sim->options.ops->enqueue(sim->sched, &free_item->item, sim->now);
}

/* At its start a stream fills its depth; by the clock it goes on. */
static void arrive(struct sim *sim, struct sim_stream *stream)
{
	for (uint32_t i = 0; i < (stream->depth ? stream->depth : 1); i++)
		submit(sim, stream);
	stream->next_ns = stream->depth ? UINT64_MAX : stream->next_ns + stream->period_ns;
}

/* ------------------------------------------------------------------ the device */

static void note_lag(struct sim *sim)
{
	for (uint32_t a = 0; a < sim->tenant_count; a++) {
		double of_a = (double)sim->tenants[a].served_ns / sim->tenants[a].share.weight;
		for (uint32_t b = 0; b < a; b++) {
			double ahead = of_a - (double)sim->tenants[b].served_ns / sim->tenants[b].share.weight;
			if (ahead < sim->lag_low[a][b])
				sim->lag_low[a][b] = ahead;
			if (ahead > sim->lag_high[a][b])
				sim->lag_high[a][b] = ahead;
		}
	}
}

static void note_latency(struct sim_stream *stream, uint64_t ns)
{
	if (stream->latencies == stream->room) {
		stream->room = stream->room ? stream->room * 2 : 1024;
		stream->latency_ns = realloc(stream->latency_ns, stream->room * sizeof(*stream->latency_ns));
		if (!stream->latency_ns)
			abort();
	}
	stream->latency_ns[stream->latencies++] = ns;
}

static void first_starts(struct sim *sim, struct sim_device *device)
{
	struct sim_item *first = device->in_flight[0];
	struct sim_tenant *tenant = &sim->tenants[first->stream->tenant];
	uint64_t gap = sim->now - tenant->last_served_ns;

	device->ends_ns = sim->now + first->device_ns;
	if (gap > tenant->longest_gap_ns)
		tenant->longest_gap_ns = gap;
	tenant->last_served_ns = sim->now;
}

static void first_ends(struct sim *sim, struct sim_device *device)
{
	struct sim_item *item = device->in_flight[0];
	struct sim_stream *stream = item->stream;
	struct sim_tenant *tenant = &sim->tenants[stream->tenant];

	memmove(device->in_flight, device->in_flight + 1, (SIM_IN_FLIGHT - 1) * sizeof(device->in_flight[0]));
	device->count--;
	device->busy_ns += item->device_ns;
	tenant->served_ns += item->device_ns;
	if (item->device_ns > tenant->longest_ns)
		tenant->longest_ns = item->device_ns;
	stream->estimate_ns = (stream->estimate_ns * 3 + item->device_ns) / 4;
	sim->options.ops->completed(sim->sched, &item->item, item->device_ns, sim->now);
	note_latency(stream, sim->now - item->submitted_ns);
	if (sim->options.lag)
		note_lag(sim);
	item->used = false;
	if (device->count)
		first_starts(sim, device);
	if (stream->depth)
		submit(sim, stream);
}

static void switch_ends(struct sim *sim, struct sim_device *device)
{
	device->attached = device->target;
	device->target = NULL;
	quantum_begin(&device->quantum, sim->options.switch_ns, sim->now);
	sim->options.ops->charge(sim->sched, &device->attached->session, device->target_class, sim->options.switch_ns,
				 sim->now);
	sim->tenants[device->attached->tenant].served_ns += sim->options.switch_ns;
	device->switching_ns += sim->options.switch_ns;
}

static bool has_room(const struct sim *sim, const struct sim_device *device)
{
	uint64_t ahead_ns = 0;

	for (uint32_t i = 0; i < device->count; i++)
		ahead_ns += device->in_flight[i]->item.estimate_ns;
	return device->count == 0 || (device->count < sim->options.max_in_flight && ahead_ns < MAX_AHEAD_NS);
}

/* As the daemon feeds its devices: what is picked runs in the tenure of its session. */
static void feed(struct sim *sim, struct sim_device *device)
{
	while (!device->target && has_room(sim, device)) {
		struct sched_item *picked =
		    quantum_pick(&device->quantum, sim->options.ops, sim->sched, (uint32_t)(device - sim->devices),
				 device->attached ? &device->attached->session : NULL, sim->now);
		if (!picked)
			return;
		struct sim_item *item = (struct sim_item *)(void *)picked;
		if (item->stream != device->attached && device->count)
			return;
		if (item->stream != device->attached && sim->options.switch_ns) {
			device->target = item->stream;
			device->target_class = picked->queue->class;
			device->switched_ns = sim->now + sim->options.switch_ns;
			return;
		}
		device->attached = item->stream;
		sim->options.ops->dispatched(sim->sched, picked, sim->now);
		device->in_flight[device->count++] = item;
		if (device->count == 1)
			first_starts(sim, device);
	}
}

/* ------------------------------------------------------------------ time */

static uint64_t device_next(const struct sim *sim, const struct sim_device *device)
{
	if (device->target)
		return device->switched_ns;
	if (device->count)
		return device->ends_ns;
	return sim->options.ops->next_change(sim->sched, (uint32_t)(device - sim->devices), sim->now);
}

static uint64_t next_event(const struct sim *sim)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < SIM_DEVICES; i++) {
		uint64_t when = device_next(sim, &sim->devices[i]);
		next = when < next ? when : next;
	}
	for (uint32_t i = 0; i < sim->stream_count; i++)
		next = sim->streams[i].next_ns < next ? sim->streams[i].next_ns : next;
	return next;
}

void sim_run(struct sim *sim, uint64_t until_ns)
{
	for (uint64_t next = next_event(sim); next < until_ns; next = next_event(sim)) {
		sim->now = next;
		for (uint32_t i = 0; i < SIM_DEVICES; i++) {
			struct sim_device *device = &sim->devices[i];
			if (device->target && device->switched_ns == next)
				switch_ends(sim, device);
			else if (!device->target && device->count && device->ends_ns == next)
				first_ends(sim, device);
		}
		for (uint32_t i = 0; i < sim->stream_count; i++)
			if (sim->streams[i].next_ns == next)
				arrive(sim, &sim->streams[i]);
		for (uint32_t i = 0; i < SIM_DEVICES; i++)
			feed(sim, &sim->devices[i]);
	}
}

/* ------------------------------------------------------------------ what is measured */

void sim_measure(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->tenant_count; i++) {
		sim->tenants[i].served_ns = 0;
		sim->tenants[i].longest_ns = 0;
		sim->tenants[i].longest_gap_ns = 0;
	}
	for (uint32_t i = 0; i < sim->stream_count; i++)
		sim->streams[i].latencies = 0;
	for (uint32_t i = 0; i < SIM_DEVICES; i++) {
		sim->devices[i].busy_ns = 0;
		sim->devices[i].switching_ns = 0;
	}
	memset(sim->lag_low, 0, sizeof(sim->lag_low));
	memset(sim->lag_high, 0, sizeof(sim->lag_high));
}

double sim_jain(const struct sim *sim, uint32_t count)
{
	double sum = 0, squares = 0;

	for (uint32_t i = 0; i < count; i++) {
		double x = (double)sim->tenants[i].served_ns / sim->tenants[i].share.weight;
		sum += x;
		squares += x * x;
	}
	return sum * sum / (count * squares);
}

double sim_share(const struct sim *sim, uint32_t tenant)
{
	double all = 0;

	for (uint32_t i = 0; i < sim->tenant_count; i++)
		all += (double)sim->tenants[i].served_ns;
	return (double)sim->tenants[tenant].served_ns / all;
}

static double lag_between(const struct sim *sim, uint32_t a, uint32_t b)
{
	return sim->lag_high[a][b] - sim->lag_low[a][b];
}

double sim_worst_lag(const struct sim *sim)
{
	double worst = 0;

	for (uint32_t a = 0; a < sim->tenant_count; a++) {
		const struct sim_tenant *of_a = &sim->tenants[a];
		for (uint32_t b = 0; b < a; b++) {
			const struct sim_tenant *of_b = &sim->tenants[b];
			double allowed = (double)of_a->longest_ns / of_a->share.weight +
					 (double)of_b->longest_ns / of_b->share.weight;
			worst = fmax(worst, lag_between(sim, a, b) / allowed);
		}
	}
	return worst;
}

double sim_worst_lag_of_two(const struct sim *sim)
{
	double worst = 0, longest = 0;

	for (uint32_t a = 0; a < sim->tenant_count; a++) {
		longest = fmax(longest, (double)sim->tenants[a].longest_ns);
		for (uint32_t b = 0; b < a; b++)
			worst = fmax(worst, lag_between(sim, a, b) * SCHED_DEFAULT_WEIGHT);
	}
	return worst / (2 * longest + (double)sim->options.switch_ns);
}

static int compare_ns(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

double sim_percentile(struct sim_stream *stream, double part)
{
	if (stream->latencies == 0)
		return 0;
	qsort(stream->latency_ns, stream->latencies, sizeof(*stream->latency_ns), compare_ns);
	return (double)stream->latency_ns[(size_t)((double)(stream->latencies - 1) * part)] / MS;
}
