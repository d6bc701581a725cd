/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a configured device and tying it to the loop; see unit.h. */
#include "daemon/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/util/cleanup.h"
#include "daemon/util/clock.h"
#include "daemon/util/lockfile.h"

#define DEVICE_LOCK ".npud.lock" /* the server of the socket may have a lock of its own */

/* ------------------------------------------------------------------ devices on the loop */

static void on_irq(evutil_socket_t fd, short what, void *arg)
{
	struct unit *unit = arg;

	(void)fd;
	(void)what;
	device_irq(unit->device);
}

static void on_life(evutil_socket_t fd, short what, void *arg)
{
	struct unit *unit = arg;

	(void)fd;
	(void)what;
	device_life(unit->device);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct unit *unit = arg;

	(void)fd;
	(void)what;
	device_tick(unit->device);
}

static void on_worker(evutil_socket_t fd, short what, void *arg)
{
	struct unit *unit = arg;

	(void)fd;
	(void)what;
	worker_reap(unit->device->worker);
}

/* A device that was opened again has other descriptors. */
static int unit_assign(struct unit *unit)
{
	struct event_base *base = unit->loop->base;
	const struct vfio_device *vfio = unit->device->vfio;

	unit->life_fd = vfio->life_fd;
	/* By its edges: what the device has to say is in its registers, and nobody need read the count of signals. */
	int error = event_assign(&unit->irq, base, vfio->irq_fd, EV_READ | EV_PERSIST | EV_ET, on_irq, unit);
	if (unit->life_fd >= 0)
		error |= event_assign(&unit->life, base, unit->life_fd, EV_READ | EV_PERSIST, on_life, unit);
	return error;
}

/* It is there, for the first time. */
static void announce(struct unit *unit)
{
	const struct device *device = unit->device;
	char why[256];

	log_event(LOG_LEVEL_INFO, "device.ready", LOG_STR("device", device->name),
		  LOG_STR("path", opener_place(unit->opener.config)), LOG_STR("transport", device->vfio->ops->name),
		  LOG_STR("npu", device->identity.name), LOG_U64("cores", device->identity.cores),
		  LOG_U64("tecs", device->identity.tecs), LOG_U64("gm_bytes", device->identity.gm_bytes),
		  LOG_STR("refused", unit->refused));
	if (opener_check_memory(&unit->opener, device->vfio, why, sizeof(why)) > 0)
		log_event(LOG_LEVEL_WARN, "device.memory_limit", LOG_STR("device", device->name),
			  LOG_STR("reason", why));
	unit->announced = true;
}

static void unit_watch(void *user, bool on)
{
	struct unit *unit = user;

	if (on == unit->watched)
		return;
	unit->watched = on;
	if (on && !unit->announced)
		announce(unit);
	if (on) {
		if (unit_assign(unit) < 0 || event_add(&unit->irq, NULL) < 0)
			log_event(LOG_LEVEL_ERROR, "loop.failed", LOG_STR("what", "interrupt event"));
		if (unit->life_fd >= 0)
			(void)event_add(&unit->life, NULL);
	} else {
		event_del(&unit->irq);
		if (unit->life_fd >= 0)
			event_del(&unit->life);
	}
}

static void unit_arm(void *user, uint64_t ns)
{
	struct unit *unit = user;
	struct timeval when = {(time_t)(ns / NSEC_PER_SEC), (suseconds_t)(ns % NSEC_PER_SEC / 1000) + 1};

	(void)event_add(&unit->timer, &when);
}

static void unit_flush(void *user)
{
	struct unit *unit = user;

	unit->loop->flush(unit->loop->user);
}

int unit_start(struct unit *unit, const struct unit_loop *loop)
{
	static const struct device_hooks hooks = {unit_watch, unit_arm, unit_flush};
	struct event_base *base = loop->base;

	unit->loop = loop;
	int error = evtimer_assign(&unit->timer, base, on_timer, unit);
	error |=
	    event_assign(&unit->worker, base, worker_fd(unit->device->worker), EV_READ | EV_PERSIST, on_worker, unit);
	error |= event_add(&unit->worker, NULL);
	if (error == 0)
		device_set_hooks(unit->device, &hooks, unit);
	return error;
}

void unit_close(struct unit *unit)
{
	if (event_initialized(&unit->worker)) {
		unit_watch(unit, false);
		event_del(&unit->timer);
		event_del(&unit->worker);
	}
	device_free(unit->device);
	unit->device = NULL;
	if (unit->lock >= 0)
		close(unit->lock);
}

/* ------------------------------------------------------------------ opening devices */

/* A socket can be served to anybody who connects; a device of the kernel has one owner, the kernel sees to that. */
static int take_lock(struct unit *unit, char *why, size_t why_bytes)
{
	const struct config_device *config = unit->opener.config;

	if (unit->lock >= 0 || config->transport != TRANSPORT_VFIO_USER)
		return 0;
	int lock = lockfile_take(config->path, DEVICE_LOCK);
	if (lock < 0) {
		(void)snprintf(why, why_bytes, "%s" DEVICE_LOCK ": %s", config->path, strerror(-lock));
		return lock == -EWOULDBLOCK ? -EBUSY : lock;
	}
	unit->lock = lock;
	return 0;
}

/* On the worker, but for the first time. A lock that this did not come to use is nobody's. */
static int open_source(void *user, struct vfio_device **vfio, struct npu_device **npu, char *why, size_t why_bytes)
{
	struct unit *unit = user;
	bool had_lock = unit->lock >= 0;
	int error = take_lock(unit, why, why_bytes);

	if (error == 0)
		error = opener_open(&unit->opener, vfio, npu, why, why_bytes);
	if (error == 0)
		(void)snprintf(unit->refused, sizeof(unit->refused), "%s", why);
	else if (!had_lock && unit->lock >= 0)
		close(steal_fd(&unit->lock));
	return error;
}

static void log_failed(const struct unit *unit, uint32_t index, int error, const char *why)
{
	const struct config_device *config = unit->opener.config;

	if (error == -EBUSY)
		log_event(LOG_LEVEL_ERROR, "device.taken", LOG_U64("index", index),
			  LOG_STR("path", opener_place(config)), LOG_STR("reason", why),
			  LOG_STR("advice", "another process, perhaps an npud, has this device; stop it first"));
	else
		log_event(LOG_LEVEL_ERROR, "device.failed", LOG_U64("index", index), LOG_STR("device", config->name),
			  LOG_STR("reason", why));
}

/* A device pins the memory of one session at a time, or of all. Control blocks count, too. */
static uint64_t session_bytes(const struct tenant_rules *rules)
{
	uint64_t quota = tenants_largest(rules, QUOTA_BUFFER_BYTES);

	return (quota < IOVA_SLOT_BYTES ? quota : IOVA_SLOT_BYTES) + ARENA_BYTES;
}

static int open_now(struct unit *unit, char *why, size_t why_bytes)
{
	struct vfio_device *vfio;
	struct npu_device *npu;
	int error = open_source(unit, &vfio, &npu, why, why_bytes);

	return error < 0 ? error : device_new(unit->opener.config->name, vfio, npu, true, &unit->device);
}

int unit_open(struct unit *unit, const struct config *config, uint32_t index)
{
	const struct device_source source = {open_source, unit};
	struct host_options options;
	char why[512] = "";

	config_host_options(config, &options);
	memset(unit, 0, sizeof(*unit));
	unit->lock = -1;
	unit->opener = (struct opener){
	    .config = &config->devices[index],
	    .quirks = options.quirks,
	    .session_bytes = session_bytes(&options.tenants) * config->device_count,
	    .all_bytes = options.capacity[QUOTA_BUFFER_BYTES] + options.capacity[QUOTA_TCB_BYTES],
	};
	int error = open_now(unit, why, sizeof(why));
	bool opened = error == 0;
	if (!opened) {
		log_failed(unit, index, error, why);
		if (error == -EBUSY)
			return error;
		error = device_new_absent(unit->opener.config->name, why, true, &unit->device);
		if (error < 0)
			return error;
	}
	device_set_source(unit->device, &source);
	return opened;
}
