/* SPDX-License-Identifier: Apache-2.0 */
/* The device's counters as a JSON file, replaced in one step so that a reader never sees half of one. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emulator/device.h"

static json_t *stats_json(struct device *device)
{
	json_t *macs = json_array();

	(void)pthread_mutex_lock(&device->lock);
	struct device_stats stats = device->stats;
	(void)pthread_mutex_unlock(&device->lock);

	for (uint32_t i = 0; macs && i < device->options.cores * DEVICE_TECS; i++)
		(void)json_array_append_new(macs, json_integer((json_int_t)stats.tec_macs[i]));
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:{s:I, s:f}}", "jobs",
			 (json_int_t)stats.jobs, "groups", (json_int_t)stats.groups, "tasks", (json_int_t)stats.tasks,
			 "faults", (json_int_t)stats.faults, "exceptions", (json_int_t)stats.exceptions, "pool_errors",
			 (json_int_t)stats.pool_errors, "signals", (json_int_t)stats.signals, "aborts",
			 (json_int_t)stats.aborts, "resets", (json_int_t)stats.resets, "dma_maps",
			 (json_int_t)dma_map_count(device->dma), "register_reads", (json_int_t)stats.register_reads,
			 "register_writes", (json_int_t)stats.register_writes, "tec_macs", macs, "conv_share",
			 "measured", (json_int_t)stats.shared_convolutions, "worst", stats.worst_imbalance);
}

int device_stats_write(struct device *device, const char *path)
{
	json_t *json = stats_json(device);
	char *temporary = NULL;
	int err = -ENOMEM;

	if (json && asprintf(&temporary, "%s.%d.tmp", path, (int)getpid()) > 0) {
		errno = EIO;
		err = json_dump_file(json, temporary, JSON_INDENT(2)) ? -errno : 0;
		if (!err && rename(temporary, path))
			err = -errno;
		if (err)
			(void)unlink(temporary);
		free(temporary);
	}
	json_decref(json);
	return err;
}
