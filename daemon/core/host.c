/* SPDX-License-Identifier: Apache-2.0 */
/* Slots, the choice of a device, totals. */
#include "daemon/core/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/device.h"
#include "daemon/core/move.h"
#include "daemon/core/session.h"
#include "daemon/core/tenant.h"
#include "daemon/core/timeline.h"

static void host_release(struct host *host)
{
	tenant_forget_all(host);
	if (host->sched)
		host->options.scheduler->destroy(host->sched);
	timeline_free(host->timeline);
	handles_fini(&host->fences);
	free(host);
}

int host_new(const struct host_options *options, uint32_t devices, struct host **out)
{
	if (devices == 0 || devices > HOST_MAX_DEVICES)
		return -EINVAL;
	struct host *host = calloc(1, sizeof(*host));
	if (!host)
		return -ENOMEM;
	host->options = *options;
	list_init(&host->tenants);
	list_init(&host->sessions);
	list_init(&host->spaces);
	list_init(&host->woken);
	handles_init(&host->fences, HOST_MAX_FENCES);
	struct sched_params params = {.devices = devices, .ageing_ns = options->ageing_ns};
	memcpy(params.remainder, options->remainder, sizeof(params.remainder));
	host->sched = options->scheduler->create(&params);
	host->timeline = timeline_new();
	if (!host->sched || !host->timeline) {
		host_release(host);
		return -ENOMEM;
	}
	quota_init(&host->quota, "daemon", NULL, options->capacity);
	*out = host;
	return 0;
}

void host_free(struct host *host)
{
	if (host)
		host_release(host);
}

int host_add_device(struct host *host, struct device *device)
{
	if (host->device_count == HOST_MAX_DEVICES)
		return -ENOSPC;
	device->host = host;
	device->index = host->device_count;
	host->devices[host->device_count++] = device;
	return 0;
}

static int fitness(const struct device *device)
{
	return device_is_usable(device) + device_takes_new(device);
}

struct device *host_pick_device(struct host *host)
{
	struct device *best = NULL;

	for (uint32_t i = 0; i < host->device_count; i++) {
		struct device *device = host->devices[i];
		if (!device_is_known(device))
			continue;
		if (!best || fitness(device) > fitness(best) ||
		    (fitness(device) == fitness(best) && device->sessions < best->sessions))
			best = device;
	}
	return best;
}

uint32_t host_pick_slot(const struct host *host, const struct device *device)
{
	uint32_t best = SPACE_SLOTS;

	for (uint32_t slot = 0; slot < SPACE_SLOTS; slot++)
		if (device->slots >> slot & 1 &&
		    (best == SPACE_SLOTS || host->slot_spaces[slot] < host->slot_spaces[best]))
			best = slot;
	return best;
}

void host_device_changed(struct host *host, const struct device *device)
{
	list_each (node, next, &host->sessions) {
		struct session *session = list_entry(node, struct session, link);
		session->devices_changed |= 1u << device->index;
		/* It goes where its jobs run, as soon as there is such a place. */
		if (!device_takes_new(session->device))
			move_consider(session);
		session_notify(session);
	}
}

void host_stats_read(const struct host *host, struct host_stats *out)
{
	*out = (struct host_stats){
	    .sessions = host->session_count,
	    .buffers = host->quota.used[QUOTA_BUFFERS],
	    .buffer_bytes = host->quota.used[QUOTA_BUFFER_BYTES],
	    .jobs = host->quota.used[QUOTA_JOBS],
	    .arena_bytes = host->quota.used[QUOTA_TCB_BYTES],
	    .submissions = host->counters.submissions,
	    .completed = host->counters.completed,
	};
	for (uint32_t i = 0; i < host->device_count; i++) {
		const struct device *device = host->devices[i];
		out->mappings += device->mapping_count;
		out->tenures += device->counters.tenures;
		out->unknown_completions += device->counters.unknown_completions;
		out->resets += device->counters.resets;
		out->aborts += device->counters.aborts;
	}
}
