/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A change of tenure, or of the command pool within one: what has to be cleared for whom, who pays, and what is known
 * of the device when it ended, well or badly. The steps themselves are device_work.c's.
 */
#include <errno.h>
#include <string.h>

#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/session.h"
#include "daemon/log.h"
#include "daemon/util/clock.h"

/* The last user of a slot that is no session any more, as far as this device knows. */
#define SLOT_OF_NOBODY UINT64_MAX

/* A soft reset also when the slot's last user was another: caches are tagged by bus address. */
static void choose_scrub(const struct device *device, const struct address_space *target, struct device_work *work)
{
	const struct host_options *options = &device->host->options;

	work->scrub = false;
	work->scrub_gm = false;
	if (!target)
		return;
	uint64_t slot_user = device->slot_user[target->slot];
	bool chip = device->last_space && device->last_space != target->id;
	bool gm = device->gm_space && device->gm_space != target->id && device->identity.gm_bytes;

	work->scrub = (slot_user && slot_user != target->id) || (chip && options->scrub == SCRUB_RESET);
	work->scrub_gm =
	    gm && (options->scrub == SCRUB_GM || (options->scrub == SCRUB_RESET && options->quirks.reset_keeps_gm));
}

/* What a reset leaves of earlier tenures on the chip. */
void device_was_reset(struct device *device)
{
	device->last_space = 0;
	if (!device->host->options.quirks.reset_keeps_gm)
		device->gm_space = 0;
	memset(device->slot_user, 0, sizeof(device->slot_user));
}

void device_forget_slot(struct device *device, const struct address_space *space)
{
	uint64_t *user = &device->slot_user[space->slot];

	if (*user == space->id)
		*user = SLOT_OF_NOBODY;
}

void device_now_holds(struct device *device, const struct address_space *space)
{
	device->last_space = space->id;
	device->gm_space = space->id;
	device->slot_user[space->slot] = space->id;
}

void device_forget_holder(struct device *device, const struct session *session)
{
	if (device->holder == session)
		device->holder = NULL;
	if (device->next_holder == session)
		device->next_holder = NULL;
}

void device_start_switch(struct device *device, struct session *target, struct list *wanted)
{
	struct device_work *work = &device->work;

	device->target = target ? target->space : NULL;
	device->next_holder = target;
	device->switch_began = clock_now();
	work->leave_pool = device->pool;
	work->make_pool = target != NULL;
	choose_scrub(device, device->target, work);
	work->attach = device->target;
	if (!device->tables)
		list_splice(&work->unmap, &device->mapped);
	if (wanted)
		list_splice(&work->map, wanted);
	device_work_start(device, DEV_OP_SWITCH, DEV_SWITCHING);
}

void device_start_renew(struct device *device, const struct submission *submission)
{
	device->switch_began = clock_now();
	device->switch_class = submission->item.queue->class;
	device_work_start(device, DEV_OP_RENEW, DEV_SWITCHING);
}

/* What the session made the device spend before its work could begin; returned, too. */
static uint64_t charge_change(struct device *device, nsec_t now)
{
	uint64_t cost = nsec_since(now, device->switch_began);

	if (device->holder)
		device->host->options.scheduler->charge(device->host->sched, &device->holder->share,
							device->switch_class, cost, now.v);
	return cost;
}

/* A switch moves every mapping where there is one table, so its cost is its bytes'. */
static void measure_switch(struct device *device, nsec_t now)
{
	quantum_begin(&device->quantum, charge_change(device, now), now.v);
}

static void pool_is_new(struct device *device)
{
	device->pool_use = POOL_FRESH;
	device->chained = false;
	device->redial = false;
}

/* On the way to a new pool, where nothing else helped. */
static void count_reset(struct device *device)
{
	if (!device->work.was_reset)
		return;
	device->counters.resets++;
	device_was_reset(device);
}

static void switch_done(struct device *device)
{
	struct address_space *target = device->target;

	device->target = NULL;
	device->pool = target != NULL;
	pool_is_new(device);
	device->dirty = false;
	device->attached = target;
	device->holder = device->next_holder;
	device->next_holder = NULL;
	device->hold = 0;
	device->epoch++;
	count_reset(device);
	if (target) {
		measure_switch(device, clock_now());
		device->counters.tenures++;
		device_now_holds(device, target);
	}
	device_settle_sessions(device);
}

/* What was on its way to the pool that is gone waits in the scheduler still. */
static void renew_done(struct device *device)
{
	pool_is_new(device);
	count_reset(device);
	(void)charge_change(device, clock_now());
	device_now_holds(device, device->attached);
}

static void renew_failed(struct device *device)
{
	device_blame(device, OUT_DEVICE_RESET, "the command pool could not be made anew", NULL, NULL);
	log_event(LOG_LEVEL_ERROR, "device.renew_failed", LOG_STR("device", device->name),
		  LOG_STR("stage", device->work.stage), LOG_STR("error", strerror(-device->work.result)));
	device_recover(device, RECOVERY_SOFT_RESET);
}

/* Half-way between two tenures: nothing is known, so nobody is attached until a reset went well. */
static void switch_failed(struct device *device)
{
	struct device_work *work = &device->work;
	bool again = device->dirty;

	device->target = NULL;
	device->attached = NULL;
	device->holder = NULL;
	device->next_holder = NULL;
	device->pool = false;
	device->dirty = true;
	device_blame(device, OUT_DEVICE_RESET, "a tenure change failed", NULL, NULL);
	log_event(LOG_LEVEL_ERROR, "device.switch_failed", LOG_STR("device", device->name),
		  LOG_STR("stage", work->stage), LOG_STR("error", strerror(-work->result)));
	device_recover(device, again ? RECOVERY_REOPEN : RECOVERY_SOFT_RESET);
}

void device_switch_ended(struct device *device)
{
	if (device->work.result < 0)
		switch_failed(device);
	else
		switch_done(device);
}

void device_renew_ended(struct device *device)
{
	if (device->work.result < 0)
		renew_failed(device);
	else
		renew_done(device);
}
