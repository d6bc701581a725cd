/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking TCB chains in client memory: one TCB at a time, into groups and contexts. Believes nothing it reads: type,
 * alignment and shape are checked, and whatever is wrong is a pool error.
 */
#include "emulator/device.h"

#include <errno.h>
#include <string.h>

/* Reads client memory without the lock. -ECANCELED if a pool was stopped meanwhile: the list is not what it was. */
static int chain_fetch(struct device *device, uint64_t bus, void *data, uint64_t bytes)
{
	uint32_t stops = device->stops;
	bool direct = false;

	/* Tasks that this thread made ready need not wait for a client's answer. */
	if (device->ready_first && dma_allowed(device->dma, bus, bytes, DMA_ACCESS_READ, &direct) && !direct)
		exec_wake(device);
	(void)pthread_mutex_unlock(&device->lock);
	int err = dma_read(device->dma, bus, data, bytes, &device->tsm_stop);
	(void)pthread_mutex_lock(&device->lock);
	return stops != device->stops ? -ECANCELED : err;
}

static void chain_go(struct list *list, uint64_t from, uint32_t next)
{
	if (next) {
		/* `next` holds the low half; the upper one is that of the head. */
		list->cursor = (from & ~0xffffffffull) | next;
		list->state = LIST_WALKING;
	} else {
		list->tail = from;
		list->state = LIST_PARKED;
	}
}

/* ------------------------------------------------------------------ init TCBs */

static int chain_gm_sync(struct device *device, const struct zy3_init_tcb *init, const struct mem_context *context,
			 unsigned region)
{
	uint32_t ctrl = init->gm_region_ctrl[region];
	uint64_t offset = ctrl & ZY3_GM_SYNC_OFFSET_MASK, size = context->shadow[region].bytes;
	uint64_t bytes = (uint64_t)(ctrl & ZY3_GM_SYNC_PAGES_MASK) * 4096u;
	uint8_t *gm = device->chip.gm + context->shadow[region].gm_offset + offset;
	uint64_t bus = context->shadow[region].address + offset;
	uint32_t stops = device->stops;
	int err = 0;

	if ((ctrl >> 30 != 1 && ctrl >> 30 != 2) || bytes == 0 || size == 0)
		return 0;
	if (offset >= size)
		return -EINVAL;
	bytes = bytes < size - offset ? bytes : size - offset;
	exec_wake(device);
	(void)pthread_mutex_unlock(&device->lock);
	if (ctrl >> 30 == 1)
		err = dma_read(device->dma, bus, gm, bytes, &device->tsm_stop);
	else
		err = dma_write(device->dma, bus, gm, bytes, &device->tsm_stop);
	(void)pthread_mutex_lock(&device->lock);
	return stops != device->stops ? -ECANCELED : err;
}

static uint64_t chain_word64(const struct zy_asid_word *word)
{
	return (uint64_t)word->hi << 32 | word->lo;
}

static int chain_context(const struct device *device, const struct zy3_init_tcb *init, struct mem_context *context)
{
	uint32_t regions = init->gm_ctrl, gm = device->chip.gm_bytes;

	*context = (struct mem_context){0};
	if (regions > 2)
		return -EINVAL;
	for (unsigned i = 0; i < MEM_ASIDS; i++) {
		context->asid[i].base = chain_word64(&init->asid[i]) & ~(uint64_t)ZY3_TCB_ASID_FLAGS;
		context->asid[i].readable = init->asid[i].lo & ZY3_TCB_ASID_READ;
		context->asid[i].writable = init->asid[i].lo & ZY3_TCB_ASID_WRITE;
	}
	for (unsigned r = 0; r < regions; r++) {
		uint64_t address = chain_word64(&init->gm_region_addr[r]);

		if (!address || address + gm < address)
			continue;
		context->shadow[r].address = address;
		context->shadow[r].bytes = regions == 1 ? gm : gm / 2;
		context->shadow[r].gm_offset = r ? gm / 2 : 0;
	}
	return 0;
}

/* An init TCB takes effect when every older group of its list has ended. */
static bool chain_apply_init(struct device *device, struct pool *pool, struct list *list)
{
	struct mem_context context;

	if (list->groups || list->building)
		return false;
	int err = chain_context(device, &list->init.init, &context);

	for (unsigned r = 0; r < 2 && !err; r++)
		err = chain_gm_sync(device, &list->init.init, &context, r);
	if (err == -ECANCELED)
		return true;
	if (err) {
		tsm_pool_error(device, pool, list, list->init_bus, "GM settings of an init TCB");
		return true;
	}
	list->init_pending = false;
	list->context = pool->context = context;
	list->has_context = pool->has_context = true;
	list->virtual_epoch = device->virtual_now;
	list->job_open = true;
	return true;
}

/* Segment-MMU TCBs lie behind their init TCB, outside the links: a bit each in the init TCB's flag word. */
static int chain_segmmu(struct device *device, uint64_t bus, uint32_t flag)
{
	uint32_t marker = (flag & ZY3_TCB_SEGMMU_MASK) >> ZY3_TCB_SEGMMU_SHIFT;
	union zy3_tcb tcb;
	int err = 0;

	for (uint32_t n = 1; marker && !err; marker >>= 1, n++) {
		err = chain_fetch(device, bus + (uint64_t)n * ZY_TCB_BYTES, &tcb, sizeof(tcb));
		if (!err && (tcb.segmmu.flag || tcb.segmmu.next))
			err = -EINVAL;
	}
	return err;
}

static void chain_init(struct device *device, struct pool *pool, struct list *list, const union zy3_tcb *tcb)
{
	uint64_t bus = list->cursor;

	if (list->building) {
		tsm_pool_error(device, pool, list, bus, "init TCB inside a group");
		return;
	}
	int err = chain_segmmu(device, bus, tcb->init.flag);

	if (err == -ECANCELED)
		return;
	if (err || tcb->init.next % ZY_TCB_BYTES) {
		tsm_pool_error(device, pool, list, bus, "segment-MMU TCBs or link of an init TCB");
		return;
	}
	list->init = *tcb;
	list->init_bus = bus;
	list->init_pending = true;
	chain_go(list, bus, tcb->init.next);
}

/* ------------------------------------------------------------------ task TCBs */

static struct group *chain_group(struct device *device, struct pool *pool, struct list *list, const union zy3_tcb *tcb)
{
	struct group *group = group_take(device);

	if (!group)
		return NULL;
	if (!list->has_context && pool->has_context) {
		/* A pool's first chain of one list may rely on the other list's init TCB. */
		list->context = pool->context;
		list->has_context = true;
	}
	group->pool = pool;
	group->list = list;
	group->dependency = tcb->task.flag & ZY3_TCB_DEP_MASK;
	group->bound_core = list->bound_core;
	group->tag = list->tag;
	group->context = list->context;
	list->building = group;
	return group;
}

static void chain_group_end(struct list *list, struct group *group, const struct zy3_task_tcb *last)
{
	group->chain_end = last->next == 0;
	if (list->job_open && (last->interrupt_en & (ZY3_INTR_CORE | ZY3_INTR_CLUSTER))) {
		group->ends_job = true;
		list->job_open = false;
	}
	list->queue[list->groups++] = group;
	list->building = NULL;
}

static void chain_task(struct device *device, struct pool *pool, struct list *list, const union zy3_tcb *tcb)
{
	struct group *group = list->building ? list->building : chain_group(device, pool, list, tcb);
	bool end = tcb->task.flag & ZY3_TCB_GROUP_END;
	uint64_t bus = list->cursor;
	const char *why = NULL;

	if (!group)
		return; /* no room: the same TCB is read again later */
	if (group->count == DEVICE_TECS)
		why = "more tasks in a group than TECs";
	else if (tcb->task.next % ZY_TCB_BYTES)
		why = "misaligned link";
	else if (!end && !tcb->task.next)
		why = "chain ends inside a group";
	if (why) {
		tsm_pool_error(device, pool, list, bus, why);
		return;
	}
	struct task *task = &group->task[group->count];

	task->tcb = *tcb;
	task->bus = bus;
	task->index = group->count++;
	task->group = group;
	if (end)
		chain_group_end(list, group, &tcb->task);
	chain_go(list, bus, tcb->task.next);
}

/* ------------------------------------------------------------------ the walk */

static bool chain_resume(struct device *device, struct pool *pool, struct list *list)
{
	uint32_t next;

	if (list->state == LIST_PARKED && list->recheck) {
		uint64_t tail = list->tail;

		list->recheck = false;
		int err = chain_fetch(device, tail + sizeof(uint32_t), &next, sizeof(next));

		if (err == -ECANCELED)
			return true;
		if (err || next % ZY_TCB_BYTES)
			tsm_pool_error(device, pool, list, tail, "link of the tail");
		else
			chain_go(list, tail, next);
		return true;
	}
	if (!list->heads)
		return false;
	struct chain_head head = list->head[0];

	list->heads--;
	memmove(&list->head[0], &list->head[1], list->heads * sizeof(list->head[0]));
	list->cursor = head.address;
	list->bound_core = head.bound_core;
	list->virtual_epoch = device->virtual_now;
	list->state = LIST_WALKING;
	return true;
}

bool chain_step(struct device *device, struct pool *pool, struct list *list)
{
	union zy3_tcb tcb;

	if (list->init_pending)
		return chain_apply_init(device, pool, list);
	if (list->state != LIST_WALKING)
		return chain_resume(device, pool, list);
	if (list->groups == LIST_GROUPS)
		return false;
	uint64_t bus = list->cursor;
	int err = chain_fetch(device, bus, &tcb, sizeof(tcb));

	if (err == -ECANCELED)
		return true;
	uint32_t type = tcb.task.flag & ZY3_TCB_TYPE_MASK;

	if (err) {
		tsm_pool_error(device, pool, list, bus, "not mapped");
	} else if (type == ZY3_TCB_INIT) {
		chain_init(device, pool, list, &tcb);
	} else if (type == ZY3_TCB_TASK) {
		bool room = list->building != NULL;

		for (uint32_t i = 0; i < DEVICE_GROUPS && !room; i++)
			room = device->group[i].state == GROUP_FREE;
		if (!room)
			return false;
		chain_task(device, pool, list, &tcb);
	} else {
		tsm_pool_error(device, pool, list, bus, "unknown TCB type");
	}
	return true;
}
