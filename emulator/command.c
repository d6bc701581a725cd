/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command register: create, destroy and abort a pool, dispatch chains. A command succeeds or sets the sticky
 * failure bit before the register write ends; what it starts runs later, on other threads.
 */
#include <errno.h>

#include "emulator/device.h"
#include "emulator/log.h"

bool command_pool_executing(const struct device *device, const struct pool *pool)
{
	for (uint32_t i = 0; i < DEVICE_GROUPS; i++) {
		const struct group *group = &device->group[i];

		if (!group->list || group->pool != pool)
			continue;
		if (group->state == GROUP_RUNNING || group->state == GROUP_DELAYED ||
		    (group->state == GROUP_WAITING && !pool->halted))
			return true;
	}
	for (uint32_t l = 0; l < DEVICE_LISTS; l++) {
		const struct list *list = &pool->list[l];

		if (!pool->halted &&
		    (list->state == LIST_WALKING || list->init_pending || list->recheck || list->heads))
			return true;
	}
	return false;
}

static int command_create(struct device *device, struct pool *pool)
{
	if (pool->exists)
		return -EEXIST;
	pool->exists = true;
	pool->halted = false;
	pool->has_context = false;
	pool->first_bad = 0;
	pool->signal_ids = 0;
	irq_clear(device, pool);
	return 0;
}

static int command_destroy(struct device *device, struct pool *pool)
{
	if (!pool->exists)
		return -ENOENT;
	if (command_pool_executing(device, pool))
		return -EBUSY;
	device_pool_stop(device, pool);
	pool->exists = false;
	pool->halted = false;
	device->addr_written = false;
	return 0;
}

static int command_abort(struct device *device, struct pool *pool)
{
	if (!pool->exists)
		return -ENOENT;
	if (device->options.hard_hangs && command_pool_executing(device, pool))
		device->hung = true;
	if (device->hung)
		return -EBUSY;
	/* What has ended and is not acknowledged stays to be seen: an abort resets clusters, not the task manager. */
	device_pool_stop(device, pool);
	pool->halted = false;
	pool->has_context = false;
	device->stats.aborts++;
	return 0;
}

static int command_dispatch(struct device *device, struct pool *pool, uint32_t handle, bool bind)
{
	struct list *list = &pool->list[(handle & ZY3_CMD_QOS_MASK) ? 1 : 0];
	uint64_t head = (uint64_t)device->addr_high << 32 | (device->addr_low & ~0xfffu);
	int core = bind ? (int)((handle & ZY3_CMD_CORE_MASK) >> ZY3_CMD_CORE_SHIFT) : -1;

	if (!pool->exists)
		return -ENOENT;
	if (bind && core >= (int)device_cores_enabled(device))
		return -EINVAL;
	if (bind && !device->addr_written)
		return -EINVAL;
	if (!device->addr_written) {
		if (list->state == LIST_EMPTY && !list->heads)
			return -EINVAL;
		list->recheck = true;
	} else if ((uint32_t)head == 0) {
		return -EINVAL; /* 0 ends chains: no chain starts there */
	} else if (list->heads == LIST_HEADS) {
		return -ENOSPC;
	} else {
		list->head[list->heads++] = (struct chain_head){head, core};
		device->addr_written = false;
	}
	list->tag = (uint16_t)device->cmd_info;
	pool->last_cmd = device->cmd_info & 0xffffu;
	tsm_wake(device);
	return 0;
}

static int pool_command(struct device *device, struct pool *pool, uint32_t handle)
{
	switch (handle & ZY3_OP_MASK) {
	case ZY3_OP_CREATE:
		return command_create(device, pool);
	case ZY3_OP_DESTROY:
		return command_destroy(device, pool);
	case ZY3_OP_ABORT:
		return command_abort(device, pool);
	case ZY3_OP_DISPATCH:
		return command_dispatch(device, pool, handle, false);
	case ZY3_OP_BIND_DISPATCH:
		return command_dispatch(device, pool, handle, true);
	default:
		return -EINVAL;
	}
}

void command_issue(struct device *device, uint32_t handle)
{
	uint32_t number = (handle & ZY3_CMD_POOL_MASK) >> ZY3_CMD_POOL_SHIFT;
	int err = -EINVAL;

	if ((handle & ZY3_OP_MASK) == ZY3_OP_NONE)
		return;
	if (number < DEVICE_POOLS) {
		struct pool *pool = &device->pool[number];

		err = pool_command(device, pool, handle);
		if (err && !(pool->first_bad & ZY3_FIRST_BAD_VALID))
			pool->first_bad = ZY3_FIRST_BAD_VALID | (device->cmd_info & 0xffffu);
	}
	if (!err)
		return;
	emu_log(EMU_LOG_INFO, "command 0x%x fails: errno %d", handle, -err);
	device->cmd_failed = true;
}
