/* SPDX-License-Identifier: Apache-2.0 */
/* The software NPU as one object: building it, resetting it, its clock. What registers mean is in regs.c. */
#include "emulator/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emulator/log.h"
#include "emulator/ops/ops.h"

#define DEVICE_CACHE_BYTES (512u << 20)

static void device_registers_reset(struct device *device)
{
	device->cmd_info = device->addr_high = device->addr_low = device->tsm_config = 0;
	device->addr_written = device->cmd_failed = false;
	device->cluster_control = device->debug_select = device->soft_reset = 0;
	device->tick_base = 0;
	device->tick_ctrl = 1;
	device->tick_started = 0;
	device->virtual_now = 0;
	for (uint32_t c = 0; c < DEVICE_MAX_CORES; c++)
		device->core[c].virtual_end = 0;
}

static int device_threads_init(struct device *device)
{
	pthread_condattr_t monotonic;
	int err = pthread_mutex_init(&device->lock, NULL);

	err = err ? err : pthread_condattr_init(&monotonic);
	if (err)
		return -err;
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	err = pthread_cond_init(&device->work, &monotonic);
	err = err ? err : pthread_cond_init(&device->quiet, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	for (uint32_t i = 0; i < DEVICE_GROUPS && !err; i++)
		err = pthread_mutex_init(&device->group[i].conv_lock, NULL);
	return -err;
}

int device_new(const struct device_options *options, struct dma *dma, struct device **out)
{
	struct device *device = calloc(1, sizeof(*device));

	if (!device)
		return -ENOMEM;
	device->options = *options;
	device->dma = dma;
	int err = chip_init(&device->chip, options->cores, DEVICE_TECS, options->gm_mib << 20);
	if (err) {
		free(device);
		return err;
	}
	err = device_threads_init(device);
	device->cache = op_cache_new(DEVICE_CACHE_BYTES);
	if (!err && !device->cache)
		err = -ENOMEM;
	device_registers_reset(device);
	if (!err)
		err = exec_start(device);
	if (err) {
		device_free(device);
		return err;
	}
	*out = device;
	return 0;
}

void device_free(struct device *device)
{
	if (!device)
		return;
	if (device->threads)
		exec_stop(device);
	for (uint32_t i = 0; i < DEVICE_GROUPS; i++)
		(void)pthread_mutex_destroy(&device->group[i].conv_lock);
	(void)pthread_cond_destroy(&device->work);
	(void)pthread_cond_destroy(&device->quiet);
	(void)pthread_mutex_destroy(&device->lock);
	op_cache_free(device->cache);
	chip_destroy(&device->chip);
	free(device);
}

uint64_t device_clock(const struct device *device)
{
	return device->options.time == TIME_VIRTUAL ? device->virtual_now : emu_now_ns();
}

uint64_t device_ticks(const struct device *device)
{
	if (device->tick_ctrl & 1u)
		return device->tick_base;
	return device->tick_base + (device_clock(device) - device->tick_started);
}

bool device_core_idle(const struct device *device, uint32_t core)
{
	return device->core[core].group == NULL;
}

uint32_t device_cores_enabled(const struct device *device)
{
	uint32_t control = device->cluster_control, cores = (control >> ZY3_CLUSTER_CORES_SHIFT) & 0xfu;

	/* The one partition is 0: a cluster given to another is nobody's. */
	if (!(control & ZY3_CLUSTER_ENABLE) || ((control >> ZY3_CLUSTER_PARTITION_SHIFT) & 0x3u))
		return 0;
	return cores < device->chip.cores ? cores : device->chip.cores;
}

uint32_t device_tecs_enabled(const struct device *device)
{
	uint32_t tecs = device->cluster_control & 0xfu;

	return tecs < DEVICE_TECS ? tecs : DEVICE_TECS;
}

static void device_list_stop(struct device *device, struct list *list)
{
	if (list->building)
		group_give(device, list->building);
	for (uint32_t i = 0; i < list->groups; i++) {
		struct group *group = list->queue[i];

		group->list = NULL;
		if (group->state == GROUP_RUNNING || group->state == GROUP_DELAYED)
			exec_group_stop(device, group);
		else
			group_give(device, group);
	}
	memset(list, 0, sizeof(*list));
}

void device_pool_stop(struct device *device, struct pool *pool)
{
	device->stops++;
	atomic_store(&device->tsm_stop, true);
	for (uint32_t l = 0; l < DEVICE_LISTS; l++)
		device_list_stop(device, &pool->list[l]);
	dma_kick(device->dma);
}

static bool device_quiet(const struct device *device)
{
	for (uint32_t i = 0; i < DEVICE_GROUPS; i++) {
		if (device->group[i].state != GROUP_FREE)
			return false;
	}
	return !device->tsm_running && device->running == 0;
}

static void device_clear(struct device *device, bool keep_gm)
{
	for (uint32_t p = 0; p < DEVICE_POOLS; p++) {
		struct pool *pool = &device->pool[p];

		device_pool_stop(device, pool);
		irq_clear(device, pool);
	}
	/* An instruction in flight may still write: the reset is over when the last one has ended. */
	while (!device_quiet(device))
		(void)pthread_cond_wait(&device->quiet, &device->lock);
	for (uint32_t p = 0; p < DEVICE_POOLS; p++) {
		irq_clear(device, &device->pool[p]);
		memset(&device->pool[p], 0, sizeof(device->pool[p]));
	}
	irq_refresh(device, false);
	chip_clear(&device->chip, keep_gm);
	device_registers_reset(device);
	device->stats.resets++;
}

void device_reset(struct device *device)
{
	(void)pthread_mutex_lock(&device->lock);
	device->hung = false;
	device_clear(device, false);
	op_cache_clear(device->cache);
	(void)pthread_mutex_unlock(&device->lock);
}

void device_soft_reset(struct device *device)
{
	(void)pthread_mutex_lock(&device->lock);
	if (!device->hung) {
		device_clear(device, device->options.reset_keeps_gm);
		device->soft_reset = ZY_SOFT_RESET_DONE;
	}
	(void)pthread_mutex_unlock(&device->lock);
}
