/* SPDX-License-Identifier: Apache-2.0 */
/* The events of the simulation, in order of virtual time; see sim.h. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As npud has them without a word in its configuration. */
#define MAX_AHEAD_NS (5 * MS)
#define MIN_AHEAD_NS (MS / 2)
#define MOST_IN_FLIGHT 4u
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
	if (sim->options.cores == 0)
		sim->options.cores = 1;
	if (sim->options.max_in_flight == 0)
		sim->options.max_in_flight = sim->options.cores > 1 ? sim->options.cores : 2;
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
	if (stream->estimate_ns == 0)
		stream->estimate_ns = MS;
	sim->tenants[template->tenant].on[device].present = true;
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
	    .item = {.queue = &stream->queue,
		     .arrival = ++sim->arrivals,
		     .estimate_ns = stream->estimate_ns,
		     .deadline_ns = stream->within_ns && !sim->options.blind ? sim->now + stream->within_ns : 0},
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

static double by_weight(const struct sim_tenant *tenant, uint32_t device)
{
	return (double)tenant->on[device].served_ns / tenant->share.weight;
}

static void note_lag(struct sim *sim, struct sim_device *device)
{
	uint32_t index = (uint32_t)(device - sim->devices);

	for (uint32_t a = 0; a < sim->tenant_count; a++) {
		double of_a = by_weight(&sim->tenants[a], index);
		for (uint32_t b = 0; b < a; b++) {
			double ahead = of_a - by_weight(&sim->tenants[b], index);
			device->lag_low[a][b] = fmin(device->lag_low[a][b], ahead);
			device->lag_high[a][b] = fmax(device->lag_high[a][b], ahead);
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

static void note_end(struct sim_stream *stream, const struct sim_item *item, uint64_t latency_ns)
{
	note_latency(stream, latency_ns);
	if (latency_ns > stream->within_ns)
		return;
	stream->in_time++;
	stream->in_time_ns += item->device_ns;
}

static struct sim_service *service_of(struct sim *sim, const struct sim_stream *stream)
{
	return &sim->tenants[stream->tenant].on[stream->session.device];
}

/* On the cores that are free. */
static void start_jobs(struct sim *sim, struct sim_device *device)
{
	while (device->started < device->count && device->started < sim->options.cores) {
		struct sim_item *item = device->in_flight[device->started++];
		struct sim_service *service = service_of(sim, item->stream);
		uint64_t gap = sim->now - service->last_served_ns;
		item->ends_ns = sim->now + item->device_ns;
		if (gap > service->longest_gap_ns)
			service->longest_gap_ns = gap;
		service->last_served_ns = sim->now;
	}
}

/* Which of those on the cores ends next. */
static uint32_t first_to_end(const struct sim_device *device)
{
	uint32_t first = 0;

	for (uint32_t i = 1; i < device->started; i++)
		if (device->in_flight[i]->ends_ns < device->in_flight[first]->ends_ns)
			first = i;
	return first;
}

static void job_ends(struct sim *sim, struct sim_device *device)
{
	uint32_t at = first_to_end(device);
	struct sim_item *item = device->in_flight[at];
	struct sim_stream *stream = item->stream;
	struct sim_service *service = service_of(sim, stream);

	device->started--;
	device->count--;
	memmove(device->in_flight + at, device->in_flight + at + 1,
		(device->count - at) * sizeof(device->in_flight[0]));
	device->busy_ns += item->device_ns;
	service->served_ns += item->device_ns;
	if (item->device_ns > service->longest_ns)
		service->longest_ns = item->device_ns;
	stream->estimate_ns = (stream->estimate_ns * 3 + item->device_ns) / 4;
	sim->options.ops->completed(sim->sched, &item->item, item->device_ns, sim->now);
	note_end(stream, item, sim->now - item->submitted_ns);
	if (sim->options.lag)
		note_lag(sim, device);
	item->used = false;
	start_jobs(sim, device);
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
	service_of(sim, device->attached)->served_ns += sim->options.switch_ns;
	device->switching_ns += sim->options.switch_ns;
}

static bool has_room(const struct sim *sim, const struct sim_device *device)
{
	uint64_t ahead_ns = 0;

	if (device->count < sim->options.cores)
		return true;
	for (uint32_t i = 0; i < device->count; i++)
		ahead_ns += device->in_flight[i]->item.estimate_ns;
	if (ahead_ns >= MAX_AHEAD_NS)
		return false;
	return device->count < sim->options.max_in_flight ||
	       (device->count < MOST_IN_FLIGHT && ahead_ns < MIN_AHEAD_NS);
}

static void shed_late(struct sim *sim, const struct sim_device *device)
{
	struct sched_item *late;

	while ((late = sim->options.ops->pick_late(sim->sched, (uint32_t)(device - sim->devices), sim->now)) != NULL) {
		struct sim_item *item = (struct sim_item *)(void *)late;
		sim->options.ops->remove(sim->sched, late, sim->now);
		item->stream->shed++;
		item->used = false;
	}
}

/* As the daemon feeds its devices: what is picked runs in the tenure of its session. */
static void feed(struct sim *sim, struct sim_device *device)
{
	while (!device->target) {
		shed_late(sim, device);
		if (!has_room(sim, device))
			return;
		struct sched_item *picked =
		    quantum_pick(&device->quantum, sim->options.ops, sim->sched, (uint32_t)(device - sim->devices),
				 device->attached ? &device->attached->session : NULL, sim->now);
		if (!picked)
			return;
		struct sim_item *item = (struct sim_item *)(void *)picked;
		if (item->stream != device->attached && device->count && sim->options.cores == 1)
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
		start_jobs(sim, device);
	}
}

/* ------------------------------------------------------------------ time */

static uint64_t device_next(const struct sim *sim, const struct sim_device *device)
{
	if (device->target)
		return device->switched_ns;
	if (device->count)
		return device->in_flight[first_to_end(device)]->ends_ns;
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

static void device_acts(struct sim *sim, struct sim_device *device)
{
	if (device->target && device->switched_ns == sim->now)
		switch_ends(sim, device);
	while (!device->target && device->count && device_next(sim, device) == sim->now)
		job_ends(sim, device);
}

void sim_run(struct sim *sim, uint64_t until_ns)
{
	for (uint64_t next = next_event(sim); next < until_ns; next = next_event(sim)) {
		sim->now = next;
		for (uint32_t i = 0; i < SIM_DEVICES; i++)
			device_acts(sim, &sim->devices[i]);
		for (uint32_t i = 0; i < sim->stream_count; i++)
			if (sim->streams[i].next_ns == next)
				arrive(sim, &sim->streams[i]);
		for (uint32_t i = 0; i < SIM_DEVICES; i++)
			feed(sim, &sim->devices[i]);
	}
}

/* ------------------------------------------------------------------ what is measured */

static void forget_stream(struct sim_stream *stream)
{
	stream->latencies = 0;
	stream->missed = 0;
	stream->shed = 0;
	stream->in_time = 0;
	stream->in_time_ns = 0;
}

void sim_measure(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->tenant_count; i++)
		for (uint32_t device = 0; device < SIM_DEVICES; device++) {
			struct sim_service *service = &sim->tenants[i].on[device];
			service->served_ns = 0;
			service->longest_gap_ns = 0;
		}
	for (uint32_t i = 0; i < sim->stream_count; i++)
		forget_stream(&sim->streams[i]);
	for (uint32_t i = 0; i < SIM_DEVICES; i++) {
		struct sim_device *device = &sim->devices[i];
		device->busy_ns = 0;
		device->switching_ns = 0;
		memset(device->lag_low, 0, sizeof(device->lag_low));
		memset(device->lag_high, 0, sizeof(device->lag_high));
	}
}

uint64_t sim_served(const struct sim *sim, uint32_t tenant)
{
	uint64_t sum = 0;

	for (uint32_t device = 0; device < SIM_DEVICES; device++)
		sum += sim->tenants[tenant].on[device].served_ns;
	return sum;
}

double sim_jain(const struct sim *sim, uint32_t count)
{
	double sum = 0, squares = 0;

	for (uint32_t i = 0; i < count; i++) {
		double x = (double)sim_served(sim, i) / sim->tenants[i].share.weight;
		sum += x;
		squares += x * x;
	}
	return sum * sum / (count * squares);
}

double sim_share(const struct sim *sim, uint32_t tenant)
{
	double all = 0;

	for (uint32_t i = 0; i < sim->tenant_count; i++)
		all += (double)sim_served(sim, i);
	return (double)sim_served(sim, tenant) / all;
}

static double mean_weight(const struct sim *sim, uint32_t device)
{
	uint32_t sum = 0, count = 0;

	for (uint32_t i = 0; i < sim->tenant_count; i++)
		if (sim->tenants[i].on[device].present) {
			sum += sim->tenants[i].share.weight;
			count++;
		}
	return (double)sum / count;
}

/* It is there, and ageing does not serve it more than its weight does. */
static bool follows_its_weight(const struct sim *sim, uint32_t tenant, uint32_t device)
{
	const struct sim_service *service = &sim->tenants[tenant].on[device];
	bool may_age = sim->options.ageing_ns && service->longest_gap_ns >= sim->options.ageing_ns;

	return service->present && (!may_age || sim->tenants[tenant].share.weight >= mean_weight(sim, device));
}

/* What a tenant may be ahead, on a device, by its weight. */
typedef double allowance(const struct sim *sim, uint32_t device, uint32_t tenant);

/* The worst of all pairs on the device. */
static double worst_on(const struct sim *sim, uint32_t on, allowance *allowed)
{
	const struct sim_device *device = &sim->devices[on];
	double worst = 0;

	for (uint32_t a = 0; a < sim->tenant_count; a++)
		for (uint32_t b = 0; b < a; b++)
			if (follows_its_weight(sim, a, on) && follows_its_weight(sim, b, on))
				worst = fmax(worst, (device->lag_high[a][b] - device->lag_low[a][b]) /
							(allowed(sim, on, a) + allowed(sim, on, b)));
	return worst;
}

static double worst_anywhere(const struct sim *sim, allowance *allowed)
{
	double worst = 0;

	for (uint32_t on = 0; on < SIM_DEVICES; on++)
		worst = fmax(worst, worst_on(sim, on, allowed));
	return worst;
}

/* Half a switch for each of the two. */
static double longest_of_its_own(const struct sim *sim, uint32_t device, uint32_t tenant)
{
	const struct sim_tenant *of = &sim->tenants[tenant];

	return ((double)of->on[device].longest_ns + (double)sim->options.switch_ns / 2) / of->share.weight;
}

static double longest_job(const struct sim *sim, uint32_t device)
{
	double longest = 0;

	for (uint32_t i = 0; i < sim->tenant_count; i++)
		longest = fmax(longest, (double)sim->tenants[i].on[device].longest_ns);
	return longest;
}

static double longest_of_all(const struct sim *sim, uint32_t device, uint32_t tenant)
{
	return (longest_job(sim, device) + (double)sim->options.switch_ns / 2) / sim->tenants[tenant].share.weight;
}

static double longest_turn(const struct sim *sim, uint32_t device, uint32_t tenant)
{
	double switching = (double)sim->options.switch_ns * (1 + QUANTUM_SWITCHES);

	return (longest_job(sim, device) + switching) / sim->tenants[tenant].share.weight;
}

double sim_worst_lag(const struct sim *sim)
{
	return worst_anywhere(sim, longest_of_its_own);
}

double sim_worst_lag_of_two(const struct sim *sim)
{
	return worst_anywhere(sim, longest_of_all);
}

double sim_worst_lag_of_turns(const struct sim *sim)
{
	return worst_anywhere(sim, longest_turn);
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
