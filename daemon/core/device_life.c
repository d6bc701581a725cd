/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coming and going: a device that vanishes, that the host wants back, that is taken out of service, that returns. After
 * it is gone nothing asks anything of it; what was mapped, attached or queued is forgotten before it may come back.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/session.h"
#include "daemon/log.h"
#include "daemon/util/clock.h"

/* Pauses between attempts to open a device that is gone: they double. */
#define RETRY_FIRST_NS NSEC_PER_SEC
#define RETRY_LAST_NS (30 * NSEC_PER_SEC)

/* What runs when the host asks for the device may end; the host waits, so not for long. */
#define EVICT_NS (NSEC_PER_SEC / 2)

static void forget_list(struct list *mappings)
{
	list_each (node, next, mappings) {
		list_entry(node, struct mapping, link)->live = false;
		list_remove(node);
	}
}

void device_forget_mappings(struct device *device)
{
	forget_list(&device->mapped);
	forget_list(&device->work.unmap);
	forget_list(&device->work.mapped);
	device->mapping_count = 0;
	list_each (node, next, &device->host->sessions) {
		struct session *session = list_entry(node, struct session, link);
		/* One that ends or moves away right now belongs to the worker, which sees that the transport went. */
		if (session->device == device && !session->reaping && !session->leaving)
			session->space->io = NULL;
	}
	device->attached = NULL;
	device->target = NULL;
	device->holder = NULL;
	device->next_holder = NULL;
	device->pool = false;
	device->dirty = false;
	device->leaking = false;
	device->epoch++;
}

/* The transport is closed: nothing is mapped any more, nobody is attached. */
void device_forget(struct device *device)
{
	device->closed = true;
	device_forget_mappings(device);
}

static void drop_queue(struct device *device, nsec_t now)
{
	list_each (node, next, &device->host->sessions) {
		struct session *session = list_entry(node, struct session, link);
		if (session->seat == device)
			session_drop(session, OUT_DEVICE_GONE, device->reason, now);
	}
}

void device_stop(struct device *device, enum device_state state, const char *reason)
{
	nsec_t now = clock_now();

	device->state = state;
	if (snprintf(device->reason, sizeof(device->reason), "%s", reason) < 0)
		device->reason[0] = '\0';
	log_event(LOG_LEVEL_ERROR, "device.stopped", LOG_STR("device", device->name),
		  LOG_STR("reason", device->reason));
	device->retry_ns = RETRY_FIRST_NS;
	control_reset_failed(device, device->reason);
	device_judge(device, now);
	drop_queue(device, now);
	host_device_changed(device->host, device);
}

/* The other side is gone: nothing is asked of it any more, the worker closes what is left. */
void device_lost(struct device *device)
{
	recovery_give_up(&device->recovery, clock_now().v);
	device_stop(device, DEV_GONE, "the device went away");
	device->work.quiet = false;
	device_work_start(device, DEV_OP_CLOSE, DEV_GONE);
}

/* Nothing runs: quiet, unmapped, closed, as the host wants it. */
void device_evict(struct device *device)
{
	device_stop(device, DEV_GONE, "the host asked for the device back");
	device->work.quiet = true;
	if (!device->tables)
		list_splice(&device->work.unmap, &device->mapped);
	device_work_start(device, DEV_OP_CLOSE, DEV_GONE);
}

bool device_is_evicted(const struct device *device, nsec_t now)
{
	return device->evicting && now.v >= device->evict_by.v;
}

/* The line is readable when the other side ended, or wants something. */
void device_life(struct device *device)
{
	if (device->state != DEV_READY)
		return;
	int life = device->vfio->ops->life(device->vfio);
	if (life < 0)
		device->lost = true;
	if (life == VFIO_LIFE_RELEASE && !device->evicting) {
		device->evicting = true;
		device->evict_by = nsec_add(clock_now(), EVICT_NS);
		log_event(LOG_LEVEL_WARN, "device.wanted_back", LOG_STR("device", device->name),
			  LOG_U64("in_flight", device->in_flight_count));
	}
	device_pump(device);
}

/* ------------------------------------------------------------------ coming back */

void device_set_source(struct device *device, const struct device_source *source)
{
	device->source = *source;
}

void device_take_transport(struct device *device, struct vfio_device *vfio, struct npu_device *npu)
{
	device->vfio = vfio;
	device->npu = npu;
	device->tables = vfio->ops->space_new != NULL;
	device->identity = npu->identity;
	device->reach.generation = npu->identity.generation;
	device->reach.reserved_count = vfio->reserved_count;
	memcpy(device->reach.reserved, vfio->reserved, sizeof(device->reach.reserved));
	device->slots = npu_window_slots(npu->identity.generation, vfio->reserved, vfio->reserved_count);
	struct npu_window window;
	if (device->slots && npu_window(npu->identity.generation, (uint32_t)__builtin_ctz(device->slots), &window) == 0)
		device->window_bytes = window.clients.bytes;
	device->closed = false;
	device->lost = false;
	device->evicting = false;
}

void device_set_absent(struct device *device, const char *why)
{
	device->state = DEV_GONE;
	device->closed = true;
	device->retry_ns = RETRY_FIRST_NS;
	if (snprintf(device->reason, sizeof(device->reason), "%s", why) < 0)
		device->reason[0] = '\0';
}

void device_retry(struct device *device)
{
	device_work_start(device, DEV_OP_OPEN, DEV_GONE);
}

static bool is_the_same(const struct npu_identity *a, const struct npu_identity *b)
{
	return strcmp(a->name, b->name) == 0 && a->cores == b->cores && a->tecs == b->tecs &&
	       a->gm_bytes == b->gm_bytes;
}

static bool reaches_the_same(const struct space_reach *a, const struct space_reach *b)
{
	return a->generation == b->generation && a->reserved_count == b->reserved_count &&
	       memcmp(a->reserved, b->reserved, a->reserved_count * sizeof(a->reserved[0])) == 0;
}

bool device_is_alike(const struct device *device, const struct device *other)
{
	return is_the_same(&device->identity, &other->identity) && reaches_the_same(&device->reach, &other->reach);
}

static void refuse_return(struct device *device, const char *why)
{
	device->retry_ns = device->retry_ns * 2 < RETRY_LAST_NS ? device->retry_ns * 2 : RETRY_LAST_NS;
	log_event(LOG_LEVEL_DEBUG, "device.still_gone", LOG_STR("device", device->name), LOG_STR("reason", why));
	control_reset_failed(device, why);
}

/* Prepared jobs were encoded for the device that went: only its like can take its place. */
void device_opened(struct device *device)
{
	struct device_work *work = &device->work;
	bool returns = device_is_known(device);

	if (work->result < 0) {
		refuse_return(device, work->why);
		return;
	}
	if (returns && !is_the_same(&device->identity, &work->npu->identity)) {
		refuse_return(device, "another NPU is in its place; restart npud to use it");
		npu_free(work->npu);
		vfio_close(work->vfio);
		return;
	}
	device_take_transport(device, work->vfio, work->npu);
	device_was_reset(device);
	device->state = DEV_READY;
	device->reason[0] = '\0';
	control_reset_done(device, RECOVERY_REOPEN);
	if (returns) {
		device->counters.returns++;
		log_event(LOG_LEVEL_INFO, "device.returned", LOG_STR("device", device->name),
			  LOG_STR("transport", device->vfio->ops->name));
	}
	host_device_changed(device->host, device);
}
