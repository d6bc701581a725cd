/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool's interrupt causes: queued, presented one at a time, acknowledged through the pool's STATUS register. Decides
 * the line's level; which eventfd that means is the bus's business.
 */
#include "emulator/device.h"

const struct irq_event *irq_head(const struct pool *pool)
{
	return pool->events ? &pool->event[pool->event_first] : NULL;
}

static bool irq_enabled(const struct pool *pool, const struct irq_event *event)
{
	return (pool->intr_ctrl & event->types) && (pool->intr_ctrl & event->level);
}

void irq_refresh(struct device *device, bool presented)
{
	bool line = false;

	for (uint32_t p = 0; p < DEVICE_POOLS; p++) {
		const struct irq_event *head = irq_head(&device->pool[p]);

		line |= head && irq_enabled(&device->pool[p], head);
	}
	bool pulse = line && (presented || !device->line);

	if (line == device->line && !pulse)
		return;
	device->line = line;
	if (device->irq)
		device->irq(device->irq_ctx, line, pulse);
}

void irq_raise(struct device *device, struct pool *pool, const struct irq_event *event)
{
	/* Room is reserved before a group starts; a full ring is a hostile chain's own loss. */
	if (!irq_enabled(pool, event) || pool->events == POOL_EVENTS) {
		pool->sticky |= event->types;
		return;
	}
	pool->event[(pool->event_first + pool->events) % POOL_EVENTS] = *event;
	pool->events++;
	if (pool->events == 1)
		irq_refresh(device, true);
}

void irq_acknowledge(struct device *device, struct pool *pool, uint32_t types)
{
	pool->sticky &= ~types;
	if (!pool->events)
		return;
	struct irq_event *head = &pool->event[pool->event_first];
	struct task *held = types & ZY3_INTR_SIGNAL && head->types & ZY3_INTR_SIGNAL ? head->held : NULL;

	head->types &= ~types;
	if (head->types) {
		irq_refresh(device, false);
		return;
	}
	pool->event_first = (pool->event_first + 1) % POOL_EVENTS;
	pool->events--;
	irq_refresh(device, true);
	if (held)
		exec_task_ready(device, held);
	tsm_wake(device); /* groups may wait for room in the queue */
}

void irq_clear(struct device *device, struct pool *pool)
{
	pool->events = 0;
	pool->event_first = 0;
	pool->sticky = 0;
	irq_refresh(device, false);
}

uint32_t irq_abnormal_level(const struct pool *pool, uint32_t type)
{
	static const uint32_t levels[] = {ZY3_INTR_CLUSTER, ZY3_INTR_CORE, ZY3_INTR_POOL, ZY3_INTR_TEC};

	for (unsigned i = 0; i < 4 && (pool->intr_ctrl & type); i++) {
		if (pool->intr_ctrl & levels[i])
			return levels[i];
	}
	return 0;
}

void irq_forget_task(struct pool *pool, const struct task *task)
{
	for (uint32_t i = 0; i < pool->events; i++) {
		struct irq_event *event = &pool->event[(pool->event_first + i) % POOL_EVENTS];

		if (event->held == task)
			event->held = NULL;
	}
}
