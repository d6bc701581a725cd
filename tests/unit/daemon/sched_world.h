/* SPDX-License-Identifier: Apache-2.0 */
/* One or two devices under the policy "fair", a few tenants with a session and a queue each, and their items. */
#ifndef NPUD_TESTS_SCHED_WORLD_H
#define NPUD_TESTS_SCHED_WORLD_H

#include "daemon/policy/sched.h"
#include "tests/unit/suite.h"

#define WORLD_MANY 8u
#define WORLD_ITEMS 64u

static struct sched *sched;
static struct sched_tenant tenants[WORLD_MANY];
static struct sched_session sessions[WORLD_MANY];
static struct sched_queue queues[WORLD_MANY];
static struct sched_item items[WORLD_ITEMS];
static uint32_t item_count;
static uint64_t now;

static inline void world_begin(const struct sched_params *params)
{
	sched = sched_fair.create(params);
	ck_assert_ptr_nonnull(sched);
	item_count = 0;
	now = 1;
}

static inline void open_tenant(unsigned i, uint32_t weight, uint32_t time_permille)
{
	tenants[i] = (struct sched_tenant){.weight = weight, .time_permille = time_permille};
	ck_assert_int_eq(sched_fair.tenant_open(sched, &tenants[i]), 0);
}

static inline void open_session(unsigned i, unsigned tenant, uint32_t weight)
{
	sessions[i] = (struct sched_session){.tenant = &tenants[tenant], .id = i + 1, .weight = weight};
	sched_fair.session_open(sched, &sessions[i]);
}

static inline void open_queue(unsigned i, unsigned session, enum sched_class class, uint32_t weight)
{
	queues[i] = (struct sched_queue){.session = &sessions[session], .class = class, .weight = weight};
	sched_fair.queue_open(sched, &queues[i]);
}

/* Tenant, session and queue of one number. */
static inline void open_all(unsigned i, uint32_t weight, enum sched_class class)
{
	open_tenant(i, weight, 0);
	open_session(i, i, 100);
	open_queue(i, i, class, 100);
}

static inline struct sched_item *submit_until(unsigned queue, uint64_t ns, uint64_t deadline)
{
	struct sched_item *item = &items[item_count++];

	ck_assert_uint_le(item_count, WORLD_ITEMS);
	*item = (struct sched_item){
	    .queue = &queues[queue], .arrival = item_count, .estimate_ns = ns, .deadline_ns = deadline};
	sched_fair.enqueue(sched, item, now);
	return item;
}

static inline struct sched_item *submit(unsigned queue, uint64_t ns)
{
	return submit_until(queue, ns, 0);
}

/* The next one starts: the number of its queue, -1 if there is none. */
static inline int start(struct sched_item **out)
{
	struct sched_item *item = sched_fair.pick_next(sched, 0, 0, now);

	*out = item;
	if (!item)
		return -1;
	sched_fair.dispatched(sched, item, now);
	return (int)(item->queue - queues);
}

/* It runs from its start to its end, as long as estimated. */
static inline int run(void)
{
	struct sched_item *item;
	int queue = start(&item);

	if (!item)
		return -1;
	now += item->estimate_ns;
	sched_fair.completed(sched, item, item->estimate_ns, now);
	return queue;
}

/* The queues that are served, a digit each. */
static inline void expect_runs(const char *digits)
{
	for (const char *at = digits; *at; at++)
		ck_assert_msg(run() == *at - '0', "at %s of %s", at, digits);
}

static inline void world_end(void)
{
	for (uint32_t i = 0; i < item_count; i++)
		sched_fair.remove(sched, &items[i], now);
	ck_assert_ptr_null(sched_fair.pick_next(sched, 0, 0, now));
	for (unsigned i = 0; i < WORLD_MANY; i++)
		if (tenants[i].own.places)
			sched_fair.tenant_close(sched, &tenants[i]);
	sched_fair.destroy(sched);
}

#endif
