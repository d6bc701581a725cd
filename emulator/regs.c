/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The V3 register model of an X2_1204: what each offset reads and what a write to it does. Offsets that the model does
 * not know read 0 and ignore writes.
 */
#include "emulator/device.h"

#define REGS_CLUSTER_CONFIG(cores)                                                                                     \
	(ZY3_CLUSTER_PRESENT | (cores) << ZY3_CLUSTER_CORES_SHIFT | DEVICE_AIFFS << ZY3_CLUSTER_AIFFS_SHIFT |          \
	 DEVICE_TECS << ZY3_CLUSTER_TECS_SHIFT)

static uint32_t regs_gm_code(const struct device *device)
{
	uint32_t code = 1;

	while (code < 15 && zy3_gm_bytes(code) < device->chip.gm_bytes)
		code++;
	return code;
}

static uint32_t regs_pool_status(const struct pool *pool)
{
	const struct irq_event *head = irq_head(pool);

	return (pool->exists ? 0 : ZY3_STATUS_IDLE) | pool->sticky | (head ? head->types : 0);
}

static uint32_t regs_pool_read(const struct pool *pool, uint32_t reg)
{
	const struct irq_event *head = irq_head(pool);

	switch (reg) {
	case ZY3_POOL_CONFIG:
		return pool->config;
	case ZY3_POOL_STATUS:
		return regs_pool_status(pool);
	case ZY3_POOL_INTR_CTRL:
		return pool->intr_ctrl;
	case ZY3_POOL_INTR_STATUS:
		return head ? head->types | head->level | head->tec << ZY3_INTR_TEC_ID_SHIFT |
				  head->core << ZY3_INTR_CORE_ID_SHIFT
			    : 0;
	case ZY3_POOL_IRQ_SIG:
		return head && head->signal_id ? 1u << ZY3_IRQ_SIG_COUNT_SHIFT | head->signal_id : 0;
	case ZY3_POOL_FIRST_BAD_CMD:
		return pool->first_bad;
	case ZY3_POOL_LAST_CMD:
		return pool->last_cmd;
	case ZY3_POOL_SECURE:
		return pool->secure;
	case ZY3_POOL_SIGNAL_FLAG:
		return head ? head->flag : 0;
	case ZY3_POOL_TCB_PTR:
		return head ? head->tcb : 0;
	default:
		return 0;
	}
}

static void regs_pool_write(struct device *device, struct pool *pool, uint32_t reg, uint32_t value)
{
	switch (reg) {
	case ZY3_POOL_CONFIG:
		pool->config = value & 0xfu;
		break;
	case ZY3_POOL_STATUS:
		irq_acknowledge(device, pool, value & ZY3_INTR_TYPES);
		break;
	case ZY3_POOL_INTR_CTRL:
		pool->intr_ctrl = value & (ZY3_INTR_TYPES | ZY3_INTR_LEVELS);
		irq_refresh(device, false);
		break;
	case ZY3_POOL_FIRST_BAD_CMD:
		pool->first_bad = value & (ZY3_FIRST_BAD_VALID | 0xffffu);
		break;
	case ZY3_POOL_SECURE:
		pool->secure = value & ZY3_POOL_NON_SECURE;
		break;
	default:
		break;
	}
}

/* A doorbell that was rung is work, however late the host lets the command scheduler's thread look. */
static bool regs_scheduler_is_late(const struct device *device)
{
	bool work = false;

	for (uint32_t p = 0; p < DEVICE_POOLS; p++)
		work |= device->pool[p].exists && command_pool_executing(device, &device->pool[p]);
	return work && (device->tsm_pending || device->tsm_running);
}

static uint32_t regs_debug_read(const struct device *device, uint32_t offset)
{
	uint32_t cluster = (device->debug_select & 0xff0u) >> ZY3_DEBUG_CLUSTER_SHIFT,
		 core = device->debug_select & 0xfu;
	bool idle = !regs_scheduler_is_late(device);

	if (!(device->debug_select & ZY3_DEBUG_ENABLE) || cluster != 0)
		return 0;
	for (uint32_t c = 0; c < device->chip.cores; c++)
		idle &= device_core_idle(device, c);
	switch (offset) {
	case ZY3_DEBUG_CLUSTER_STATUS:
		return idle ? ZY3_DEBUG_CLUSTER_IDLE | ZY3_DEBUG_BUS_IDLE : 0;
	case ZY3_DEBUG_GM_CONTROL:
		return regs_gm_code(device) << ZY3_DEBUG_GM_SIZE_SHIFT;
	case ZY3_DEBUG_LOCAL_MEM:
		return CHIP_LOCAL_CODE;
	case ZY3_DEBUG_SHARED_MEM:
		return CHIP_SHARED_CODE;
	case ZY3_DEBUG_CORE_STATUS:
		return core < device->chip.cores && device_core_idle(device, core) ? ZY3_DEBUG_CORE_IDLE : 0;
	default:
		return 0;
	}
}

static uint32_t regs_tsm_read(struct device *device, uint32_t offset)
{
	uint32_t full = 0;

	switch (offset) {
	case ZY3_CMD_INFO:
		return device->cmd_info;
	case ZY3_CMD_ADDR_HIGH:
		return device->addr_high;
	case ZY3_CMD_ADDR_LOW:
		return device->addr_low;
	case ZY3_TSM_CONFIG:
		return device->tsm_config;
	case ZY3_TSM_BUILD_INFO:
		return DEVICE_POOLS << ZY3_BUILD_POOLS_SHIFT;
	case ZY3_TSM_STATUS:
		for (uint32_t p = 0; p < DEVICE_POOLS; p++)
			full |=
			    device->pool[p].list[0].heads == LIST_HEADS || device->pool[p].list[1].heads == LIST_HEADS
				? 1u << p
				: 0;
		return (device->cmd_failed ? ZY3_TSM_FAILED : 0) | full;
	case ZY3_SOFT_RESET:
		return device->soft_reset;
	case ZY_REVISION:
		return ZY_REVISION_X2_R0P3;
	case ZY3_TICK_LOW:
		return (uint32_t)device_ticks(device);
	case ZY3_TICK_HIGH:
		return (uint32_t)(device_ticks(device) >> 32);
	case ZY3_TICK_CTRL:
		return device->tick_ctrl;
	default:
		return 0;
	}
}

static void regs_tick_write(struct device *device, uint32_t value)
{
	uint64_t ticks = device_ticks(device);

	/* Bit 0 disables, bit 1 clears: 0 runs the counter, 3 clears and stops it. */
	device->tick_base = value & 2u ? 0 : ticks;
	device->tick_ctrl = value & 1u;
	device->tick_started = device_clock(device);
}

static void regs_tsm_write(struct device *device, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case ZY3_CMD_HANDLE:
		command_issue(device, value);
		break;
	case ZY3_CMD_INFO:
		device->cmd_info = value;
		break;
	case ZY3_CMD_ADDR_HIGH:
		device->addr_high = value;
		device->addr_written = true;
		break;
	case ZY3_CMD_ADDR_LOW:
		device->addr_low = value;
		device->addr_written = true;
		break;
	case ZY3_TSM_CONFIG:
		device->tsm_config = value & 0x7u;
		break;
	case ZY3_TSM_STATUS:
		device->cmd_failed = device->cmd_failed && (value & ZY3_TSM_FAILED);
		break;
	case ZY3_TICK_CTRL:
		regs_tick_write(device, value);
		break;
	default:
		break;
	}
}

static void regs_cluster_write(struct device *device, uint32_t value)
{
	bool off = !(value & ZY3_CLUSTER_ENABLE) || !((value >> ZY3_CLUSTER_CORES_SHIFT) & 0xfu);

	/* Power taken away under a running group. */
	for (uint32_t c = 0; off && c < device->chip.cores; c++)
		device->cmd_failed |= !device_core_idle(device, c);
	device->cluster_control = value & 0x31fffu;
	tsm_wake(device);
}

static uint32_t regs_lookup(struct device *device, uint32_t offset)
{
	if (offset < 0x80u)
		return regs_tsm_read(device, offset);
	if (offset >= ZY3_POOL(0, 0) && offset < ZY3_POOL(DEVICE_POOLS, 0))
		return regs_pool_read(&device->pool[(offset - 0x800u) / 0x40u], offset % 0x40u);
	if (offset == ZY3_CLUSTER(0, ZY3_CLUSTER_CONFIG))
		return REGS_CLUSTER_CONFIG(device->chip.cores);
	if (offset == ZY3_CLUSTER(0, ZY3_CLUSTER_CONTROL))
		return device->cluster_control;
	if (offset == ZY3_DEBUG_SELECT)
		return device->debug_select;
	return offset >= 0x2000u ? regs_debug_read(device, offset) : 0;
}

static void regs_trace(const struct device *device, char kind, uint32_t offset, uint32_t value)
{
	if (device->options.trace)
		(void)fprintf(device->options.trace, "%c 0x%04x 0x%08x\n", kind, offset, value);
}

uint32_t regs_read(struct device *device, uint32_t offset)
{
	(void)pthread_mutex_lock(&device->lock);
	uint32_t value = regs_lookup(device, offset);

	device->stats.register_reads++;
	regs_trace(device, 'R', offset, value);
	(void)pthread_mutex_unlock(&device->lock);
	return value;
}

void regs_write(struct device *device, uint32_t offset, uint32_t value)
{
	(void)pthread_mutex_lock(&device->lock);
	device->stats.register_writes++;
	regs_trace(device, 'W', offset, value);
	if (offset < 0x80u && offset != ZY3_SOFT_RESET)
		regs_tsm_write(device, offset, value);
	else if (offset >= ZY3_POOL(0, 0) && offset < ZY3_POOL(DEVICE_POOLS, 0))
		regs_pool_write(device, &device->pool[(offset - 0x800u) / 0x40u], offset % 0x40u, value);
	else if (offset == ZY3_CLUSTER(0, ZY3_CLUSTER_CONTROL))
		regs_cluster_write(device, value);
	else if (offset == ZY3_DEBUG_SELECT)
		device->debug_select = value & 0x1fffu;
	(void)pthread_mutex_unlock(&device->lock);
	if (offset == ZY3_SOFT_RESET && (value & ZY_SOFT_RESET_START))
		device_soft_reset(device);
}
