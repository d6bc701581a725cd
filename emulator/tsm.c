/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The task schedule manager: which parsed group runs on which core, and what its end reports. Reading TCBs is
 * chain.c's; running them is exec.c's.
 */
#include "emulator/device.h"

#include <string.h>

#include "emulator/log.h"

#define STEP_POLL_NS 20000u /* of the host's time: how often a job that has to wait looks whether it may end */
#define TSM_STEPS 64u /* TCBs per turn, so that a chain that links to itself keeps no thread */

struct group *group_take(struct device *device)
{
	for (uint32_t i = 0; i < DEVICE_GROUPS; i++) {
		struct group *group = &device->group[i];

		if (group->state != GROUP_FREE)
			continue;
		group->state = GROUP_WAITING;
		group->count = group->arrived = group->ended = 0;
		group->culprit = NULL;
		group->chain_end = group->ends_job = group->reported = false;
		atomic_store(&group->stop, false);
		memset(group->conv, 0, sizeof(group->conv));
		return group;
	}
	return NULL;
}

void group_give(struct device *device, struct group *group)
{
	group->state = GROUP_FREE;
	group->list = NULL;
	(void)pthread_cond_broadcast(&device->quiet);
}

void tsm_wake(struct device *device)
{
	device->tsm_pending = true;
	exec_wake(device);
}

static void tsm_first_bad(struct pool *pool, uint16_t tag)
{
	if (!(pool->first_bad & ZY3_FIRST_BAD_VALID))
		pool->first_bad = ZY3_FIRST_BAD_VALID | tag;
}

/* Abnormal events come at the highest enabled level: a fault hidden by a level switch would be a hang. */
static void tsm_raise_abnormal(struct device *device, struct pool *pool, uint32_t type, struct irq_event event)
{
	uint32_t level = irq_abnormal_level(pool, type);

	event.level = level;
	event.types = type;
	if (type == ZY3_INTR_FAULT && (pool->intr_ctrl & ZY3_INTR_DONE))
		event.types |= ZY3_INTR_DONE; /* V3 reports both together */
	if (level)
		irq_raise(device, pool, &event);
	else
		pool->sticky |= type;
}

void tsm_pool_error(struct device *device, struct pool *pool, struct list *list, uint64_t bus, const char *why)
{
	uint64_t base = list->context.asid[0].base;

	emu_log(EMU_LOG_INFO, "pool error at TCB 0x%llx: %s", (unsigned long long)bus, why);
	if (list->building) {
		group_give(device, list->building);
		list->building = NULL;
	}
	list->state = LIST_EMPTY;
	list->init_pending = false;
	list->heads = 0;
	pool->halted = true;
	device->stats.pool_errors++;
	tsm_first_bad(pool, list->tag);
	tsm_raise_abnormal(device, pool, ZY3_INTR_ERROR, (struct irq_event){.tcb = (uint32_t)(bus - base)});
}

static void tsm_report_failure(struct device *device, struct group *group)
{
	const struct task *task = group->culprit;
	struct irq_event event = {.core = group->core, .tec = task->index, .tcb = task->tcb.task.tcbp};
	bool fault = task->outcome == OUTCOME_FAULT;
	uint32_t type = fault ? ZY3_INTR_FAULT : ZY3_INTR_EXCEPTION;

	device->stats.faults += fault;
	device->stats.exceptions += !fault;
	group->pool->halted = true;
	tsm_first_bad(group->pool, group->tag);
	if (!fault)
		event.flag =
		    task->code | (task->code & ISA_EXC_SOFTWARE ? ZY3_SIGNAL_SW_EXCEPTION : ZY3_SIGNAL_HW_EXCEPTION);
	if (task->tcb.task.interrupt_en & type)
		tsm_raise_abnormal(device, group->pool, type, event);
	else
		group->pool->sticky |= type;
}

static void tsm_report_done(struct device *device, struct group *group, uint32_t level)
{
	const struct zy3_task_tcb *last = &group->task[group->count - 1].tcb.task;
	struct irq_event event = {
	    .types = ZY3_INTR_DONE, .level = level, .core = group->core, .tec = group->count - 1, .tcb = last->tcbp};

	if (group->reported || (last->interrupt_en & (level | ZY3_INTR_DONE)) != (level | ZY3_INTR_DONE))
		return;
	group->reported = (group->pool->intr_ctrl & level) != 0;
	irq_raise(device, group->pool, &event);
}

/* Before the interrupt: whoever hears of the end finds the time of it. */
static void tsm_virtual_advance(struct device *device, uint64_t to)
{
	if (to <= device->virtual_now)
		return;
	if (device->options.clock)
		(void)atomic_fetch_add(&device->options.clock->now_ns, to - device->virtual_now);
	device->virtual_now = to;
}

void tsm_group_finish(struct device *device, struct group *group)
{
	struct core *core = &device->core[group->core];
	uint64_t cycles = 0;

	for (uint32_t i = 0; i < group->count; i++) {
		cycles = group->task[i].cycles > cycles ? group->task[i].cycles : cycles;
		device->stats.tec_macs[group->core * DEVICE_TECS + i] += group->task[i].macs;
	}
	core->group = NULL;
	core->virtual_end = group->virtual_start + cycles;
	tsm_virtual_advance(device, core->virtual_end);
	tsm_wake(device);
	if (!group->list) {
		group_give(device, group);
		return;
	}
	device->stats.groups++;
	device->stats.tasks += group->count;
	group->state = GROUP_FINISHED;
	if (group->culprit) {
		tsm_report_failure(device, group);
		return;
	}
	device->stats.jobs += group->ends_job;
	if (device->options.in_step)
		(void)atomic_fetch_add(&device->options.clock->ended, group->ends_job);
	tsm_report_done(device, group, ZY3_INTR_CORE);
}

static uint64_t group_length_ns(const struct device *device, const struct group *group)
{
	uint64_t cycles = 0;

	if (!group->list || group->culprit)
		return 0;
	if (device->options.time == TIME_FIXED || device->options.time == TIME_VIRTUAL)
		return group->ends_job ? device->options.fixed_ns : 0;
	if (device->options.time != TIME_COMPUTED)
		return 0;
	for (uint32_t i = 0; i < group->count; i++)
		cycles = group->task[i].cycles > cycles ? group->task[i].cycles : cycles;
	return cycles; /* 1 GHz */
}

/* Others have not dealt with the last end yet. */
static bool tsm_must_wait(const struct device *device, const struct group *group)
{
	const struct virtual_clock *clock = device->options.clock;

	return device->options.in_step && group->list && group->ends_job && !group->culprit &&
	       atomic_load(&clock->ended) >= atomic_load(&clock->may_end);
}

void tsm_group_ended(struct device *device, struct group *group)
{
	uint64_t length = group_length_ns(device, group), now = emu_now_ns();

	if (length && now < group->started_ns + length) {
		group->finish_ns = group->started_ns + length;
	} else if (tsm_must_wait(device, group)) {
		group->finish_ns = now + STEP_POLL_NS;
	} else {
		tsm_group_finish(device, group);
		return;
	}
	group->state = GROUP_DELAYED;
	device->timers++;
	exec_wake(device);
}

static bool tsm_retire(struct device *device, struct list *list)
{
	bool progress = false;

	/* A cluster's done means that everything before it is done too, hence in order. */
	while (list->groups && list->queue[0]->state == GROUP_FINISHED) {
		struct group *group = list->queue[0];
		const struct zy3_task_tcb *last = &group->task[group->count - 1].tcb.task;

		if (!group->culprit && (group->chain_end || (last->flag & ZY3_TCB_GRID_END)))
			tsm_report_done(device, group, ZY3_INTR_CLUSTER);
		list->groups--;
		memmove(&list->queue[0], &list->queue[1], list->groups * sizeof(list->queue[0]));
		group_give(device, group);
		progress = true;
	}
	return progress;
}

static bool tsm_dependency_met(const struct list *list, uint32_t at)
{
	uint32_t from = list->queue[at]->dependency == ZY3_TCB_DEP_ALL ? 0 : at ? at - 1 : 0;

	if (list->queue[at]->dependency == ZY3_TCB_DEP_NONE)
		return true;
	for (uint32_t i = from; i < at; i++) {
		if (list->queue[i]->state != GROUP_FINISHED)
			return false;
	}
	return true;
}

static int tsm_free_core(const struct device *device, int bound)
{
	uint32_t enabled = device_cores_enabled(device);
	bool by_time = device->options.time == TIME_VIRTUAL;
	int best = -1;

	for (uint32_t c = 0; c < enabled; c++) {
		if (device->core[c].group || (bound >= 0 && (uint32_t)bound != c))
			continue;
		if (best < 0 || (by_time && device->core[c].virtual_end < device->core[best].virtual_end))
			best = (int)c;
	}
	return best;
}

/* Every group that left the waiting state may still report: keep room for all of it. */
static bool tsm_event_room(const struct device *device, const struct pool *pool)
{
	uint32_t need = pool->events + POOL_EVENTS_PER_GROUP;

	for (uint32_t i = 0; i < DEVICE_GROUPS; i++) {
		const struct group *group = &device->group[i];

		if (group->list && group->pool == pool && group->state > GROUP_WAITING)
			need += POOL_EVENTS_PER_GROUP;
	}
	return need <= POOL_EVENTS;
}

static bool tsm_start(struct device *device, struct pool *pool, struct list *list)
{
	bool progress = false;

	for (uint32_t i = 0; i < list->groups && !pool->halted; i++) {
		struct group *group = list->queue[i];

		if (group->state != GROUP_WAITING || !tsm_dependency_met(list, i))
			continue;
		int c = tsm_free_core(device, group->bound_core);

		if (c < 0 || !tsm_event_room(device, pool))
			continue;
		if (group->count > device_tecs_enabled(device)) {
			tsm_pool_error(device, pool, list, group->task[0].bus, "more tasks than TECs");
			break;
		}
		struct core *core = &device->core[c];

		group->core = (uint32_t)c;
		core->group = group;
		group->virtual_start = device->virtual_now;
		if (group->dependency == ZY3_TCB_DEP_NONE)
			group->virtual_start =
			    core->virtual_end > list->virtual_epoch ? core->virtual_end : list->virtual_epoch;
		exec_group_start(device, group);
		progress = true;
	}
	return progress;
}

void tsm_step(struct device *device)
{
	bool progress = true;

	atomic_store(&device->tsm_stop, false);
	for (uint32_t steps = 0; progress; steps++) {
		progress = false;
		for (uint32_t i = 0; i < DEVICE_POOLS * DEVICE_LISTS; i++) {
			struct pool *pool = &device->pool[i / DEVICE_LISTS];
			struct list *list = &pool->list[DEVICE_LISTS - 1 - i % DEVICE_LISTS];

			progress |= tsm_retire(device, list);
			if (pool->exists && !pool->halted)
				progress |= chain_step(device, pool, list);
			if (pool->exists && !pool->halted)
				progress |= tsm_start(device, pool, list);
		}
		if (progress && steps >= TSM_STEPS) {
			device->tsm_pending = true;
			break;
		}
	}
}
