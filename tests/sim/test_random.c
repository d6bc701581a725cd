/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hundred thousand small random workloads against the policy "fair": everything a caller may do, in any order. After
 * each step: a device with room never idles while something may run; queues keep their order; virtual time never goes
 * back; each item ends once; nothing is left in the tree.
 */
#include <string.h>

#include "daemon/policy/sched.h"
#include "tests/sim/random.h"
#include "tests/unit/suite.h"

#define WORKLOADS 100000u
#define DEVICES 2u
#define MAX_TENANTS 3u
#define MAX_SESSIONS 4u
#define MAX_QUEUES 6u
#define ITEMS 24u
#define STEPS 80u
#define IN_FLIGHT 3u

/* Check's own assertions tell the parent of each that holds: too slow for millions. */
#define require(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			ck_abort_msg("workload %u: %s", number, #condition);                                           \
	} while (0)

static uint32_t number; /* of the workload: its seed */

enum state { FRESH = 0, QUEUED, RUNNING, ENDED };

struct entry {
	struct sched_item item;
	enum state state;
	uint64_t queued_ns; /* when */
	uint32_t ends;
	uint32_t device;
};

struct workload {
	struct random random;
	struct sched *sched;
	uint64_t now;
	struct sched_tenant tenants[MAX_TENANTS];
	struct sched_session sessions[MAX_SESSIONS];
	struct sched_queue queues[MAX_QUEUES];
	uint32_t tenant_count, session_count, queue_count;
	struct entry entries[ITEMS];
	uint32_t submitted;
	uint32_t running[DEVICES];
	uint64_t used_ns[MAX_TENANTS][DEVICES];
};

static uint32_t below(struct workload *w, uint32_t limit)
{
	return random_below(&w->random, limit);
}

static void open_all(struct workload *w)
{
	static const uint32_t weights[] = {1, 3, 100, 1000};

	w->tenant_count = 1 + below(w, MAX_TENANTS);
	w->session_count = 1 + below(w, MAX_SESSIONS);
	w->queue_count = 1 + below(w, MAX_QUEUES);
	for (uint32_t i = 0; i < w->tenant_count; i++) {
		w->tenants[i].weight = weights[below(w, 4)];
		w->tenants[i].time_permille = below(w, 4) ? 0 : 100 + below(w, 900);
		require(sched_fair.tenant_open(w->sched, &w->tenants[i]) == 0);
	}
	for (uint32_t i = 0; i < w->session_count; i++) {
		w->sessions[i] = (struct sched_session){.tenant = &w->tenants[below(w, w->tenant_count)],
							.id = i + 1,
							.device = below(w, DEVICES),
							.weight = weights[below(w, 4)]};
		sched_fair.session_open(w->sched, &w->sessions[i]);
	}
	for (uint32_t i = 0; i < w->queue_count; i++) {
		w->queues[i] = (struct sched_queue){.session = &w->sessions[below(w, w->session_count)],
						    .class = (enum sched_class)below(w, SCHED_CLASSES),
						    .weight = weights[below(w, 4)]};
		sched_fair.queue_open(w->sched, &w->queues[i]);
	}
}

/* ------------------------------------------------------------------ what a caller does */

static struct entry *any(struct workload *w, enum state state)
{
	uint32_t first = below(w, ITEMS);

	for (uint32_t i = 0; i < ITEMS; i++)
		if (w->entries[(first + i) % ITEMS].state == state)
			return &w->entries[(first + i) % ITEMS];
	return NULL;
}

static void end(struct entry *entry)
{
	entry->state = ENDED;
	entry->ends++;
}

static void submit(struct workload *w)
{
	if (w->submitted == ITEMS)
		return;
	struct entry *entry = &w->entries[w->submitted++];
	entry->item = (struct sched_item){.queue = &w->queues[below(w, w->queue_count)],
					  .arrival = w->submitted,
					  .estimate_ns = below(w, 3) ? below(w, 20000000) : 0,
					  .deadline_ns = below(w, 4) ? 0 : w->now + below(w, 200000000)};
	entry->state = QUEUED;
	entry->queued_ns = w->now;
	sched_fair.enqueue(w->sched, &entry->item, w->now);
}

static void check_order(const struct workload *w, const struct entry *next)
{
	for (uint32_t i = 0; i < w->submitted; i++) {
		const struct entry *other = &w->entries[i];
		require(other->state != QUEUED || other->item.queue != next->item.queue ||
			other->item.arrival >= next->item.arrival);
	}
}

static void dispatch(struct workload *w, struct sched_item *item)
{
	struct entry *entry = (struct entry *)(void *)item;
	struct sched_session *session = item->queue->session;
	const struct sched_node *node = &session->own.nodes[item->queue->class];
	uint64_t of_session = node->virtual_now, of_tenant = node->parent->virtual_now;
	uint64_t of_device = node->parent->parent->virtual_now;

	require(entry->state == QUEUED);
	check_order(w, entry);
	sched_fair.dispatched(w->sched, item, w->now);
	require(node->virtual_now >= of_session);
	require(node->parent->virtual_now >= of_tenant);
	require(node->parent->parent->virtual_now >= of_device);
	entry->state = RUNNING;
	entry->device = session->device;
	w->running[session->device]++;
}

static void feed(struct workload *w, uint32_t device)
{
	struct sched_item *item;

	if (w->running[device] == IN_FLIGHT)
		return;
	item = sched_fair.pick_next(w->sched, device, 0, w->now);
	if (item && !below(w, 4)) {
		struct sched_session *session = &w->sessions[below(w, w->session_count)];
		struct sched_item *own =
		    session->device == device ? sched_fair.pick_of(w->sched, session, w->now) : NULL;
		require(!own || own->queue->session == session);
		require(!own || own->queue->class <= item->queue->class);
		item = own ? own : item;
	}
	if (item)
		dispatch(w, item);
}

static void complete(struct workload *w)
{
	struct entry *entry = any(w, RUNNING);

	if (!entry)
		return;
	uint64_t took = below(w, 30000000);
	w->now += took / IN_FLIGHT;
	w->running[entry->device]--;
	w->used_ns[entry->item.queue->session->tenant - w->tenants][entry->device] += took;
	sched_fair.completed(w->sched, &entry->item, took, w->now);
	end(entry);
}

static void take_back(struct workload *w)
{
	struct entry *entry = any(w, RUNNING);

	if (!entry)
		return;
	w->running[entry->device]--;
	sched_fair.remove(w->sched, &entry->item, w->now);
	sched_fair.enqueue(w->sched, &entry->item, w->now);
	entry->state = QUEUED;
	entry->queued_ns = w->now;
}

static void cancel(struct workload *w)
{
	struct entry *entry = any(w, QUEUED);

	if (!entry)
		return;
	sched_fair.remove(w->sched, &entry->item, w->now);
	end(entry);
}

static void shed(struct workload *w)
{
	struct sched_item *item;

	for (uint32_t device = 0; device < DEVICES; device++)
		while ((item = sched_fair.pick_late(w->sched, device, w->now)) != NULL) {
			struct entry *entry = (struct entry *)(void *)item;
			/* Where nothing is in the way, not before half of the time that it could wait. */
			uint64_t at_once = entry->queued_ns + item->estimate_ns;
			require(item->deadline_ns);
			require(w->running[device] || item->deadline_ns < at_once ||
				w->now - entry->queued_ns > (item->deadline_ns - at_once) / 2);
			sched_fair.remove(w->sched, item, w->now);
			end(entry);
		}
}

static bool is_busy(const struct workload *w, const struct sched_session *session)
{
	for (uint32_t i = 0; i < w->submitted; i++)
		if (w->entries[i].item.queue->session == session &&
		    (w->entries[i].state == QUEUED || w->entries[i].state == RUNNING))
			return true;
	return false;
}

static void change(struct workload *w)
{
	struct sched_session *session = &w->sessions[below(w, w->session_count)];

	if (!below(w, 3)) {
		uint64_t ns = below(w, 5000000);
		sched_fair.charge(w->sched, session, (enum sched_class)below(w, SCHED_CLASSES), ns, w->now);
		w->used_ns[session->tenant - w->tenants][session->device] += ns;
	} else if (!is_busy(w, session)) {
		sched_fair.session_move(w->sched, session, below(w, DEVICES));
	} else {
		sched_fair.queue_change(w->sched, &w->queues[below(w, w->queue_count)],
					(enum sched_class)below(w, SCHED_CLASSES), 1 + below(w, SCHED_MAX_WEIGHT),
					w->now);
	}
}

/* ------------------------------------------------------------------ what has to hold */

/* Nothing is picked only if each tenant with work there is limited; and then there is a time when that ends. */
static void check_conservation(struct workload *w, uint32_t device)
{
	struct sched_item *item = sched_fair.pick_next(w->sched, device, 0, w->now);
	uint64_t change_ns = sched_fair.next_change(w->sched, device, w->now);
	bool waits = false;

	for (uint32_t i = 0; i < w->submitted; i++) {
		const struct entry *entry = &w->entries[i];
		const struct sched_session *session = entry->item.queue->session;
		if (entry->state != QUEUED || session->device != device)
			continue;
		struct sched_why why;
		waits = true;
		sched_fair.explain(w->sched, &entry->item, w->now, &why);
		require(why.position < ITEMS);
		require(!why.throttled || session->tenant->time_permille);
		require(item || why.throttled);
	}
	require(waits || !item);
	require(item || !waits || change_ns < UINT64_MAX);
	if (!item && waits)
		require(change_ns > w->now);
}

/* At most the share of the time, one bucket, and what one round of items and charges takes. */
static void check_limits(const struct workload *w)
{
	for (uint32_t i = 0; i < w->tenant_count; i++) {
		uint64_t permille = w->tenants[i].time_permille;
		for (uint32_t device = 0; permille && device < DEVICES; device++)
			require(w->used_ns[i][device] * SCHED_WHOLE <=
				(w->now + 100000000) * permille +
				    (IN_FLIGHT * 30000000ull + ITEMS * 5000000ull + 50 * 5000000ull) * SCHED_WHOLE);
	}
}

static void step(struct workload *w)
{
	static void (*const actions[])(struct workload *) = {submit,   submit,    submit, complete, complete,
							     complete, take_back, cancel, change};

	if (below(w, 4) == 0)
		w->now += below(w, 40000000);
	actions[below(w, sizeof(actions) / sizeof(actions[0]))](w);
	shed(w);
	for (uint32_t device = 0; device < DEVICES; device++) {
		feed(w, device);
		shed(w);
		check_conservation(w, device);
	}
}

/* Until nothing waits. Where nothing runs either, a tenant waits for its time: that comes. */
static void drain(struct workload *w)
{
	for (uint32_t round = 0; any(w, QUEUED) || any(w, RUNNING); round++) {
		require(round < 10 * ITEMS);
		shed(w);
		for (uint32_t device = 0; device < DEVICES; device++)
			feed(w, device);
		if (any(w, RUNNING)) {
			complete(w);
			continue;
		}
		uint64_t first = sched_fair.next_change(w->sched, 0, w->now);
		uint64_t second = sched_fair.next_change(w->sched, 1, w->now);
		w->now = first < second ? first : second;
	}
}

static void check_nothing_is_left(const struct workload *w)
{
	for (uint32_t i = 0; i < w->submitted; i++)
		require(w->entries[i].ends == 1);
	for (uint32_t i = 0; i < w->queue_count; i++) {
		require(!w->queues[i].own.first);
		require(!w->queues[i].own.last);
		require(w->queues[i].own.node.running == 0);
	}
	for (uint32_t i = 0; i < w->session_count; i++)
		for (int class = 0; class < SCHED_CLASSES; class ++)
			for (const struct sched_node *node = &w->sessions[i].own.nodes[class]; node;
			     node = node->parent) {
				require(node->waiting == 0);
				require(node->waiting_ns == 0);
				require(node->running == 0);
				require(heap_empty(&node->children));
			}
}

static void close_all(struct workload *w)
{
	for (uint32_t i = 0; i < w->queue_count; i++)
		sched_fair.queue_close(w->sched, &w->queues[i]);
	for (uint32_t i = 0; i < w->session_count; i++)
		sched_fair.session_close(w->sched, &w->sessions[i]);
	for (uint32_t i = 0; i < w->tenant_count; i++)
		sched_fair.tenant_close(w->sched, &w->tenants[i]);
	sched_fair.destroy(w->sched);
}

START_TEST(any_workload_ends_well)
{
	const struct sched_params params = {.devices = DEVICES, .ageing_ns = 50000000, .remainder = {0, 100, 200, 10}};
	static struct workload w;

	for (number = 0; number < WORKLOADS; number++) {
		memset(&w, 0, sizeof(w));
		w.random.state = number;
		w.sched = sched_fair.create(&params);
		require(w.sched);
		open_all(&w);
		for (uint32_t i = 0; i < STEPS; i++)
			step(&w);
		check_limits(&w);
		drain(&w);
		check_nothing_is_left(&w);
		close_all(&w);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("random");
	TCase *tcase = tcase_create("random");

	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, any_workload_ends_well);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
