/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler's interface: who runs next on which device. Pure: time and events come as arguments, decisions go back;
 * no I/O, no clock, no allocation after create(). An item is one runnable submission (at most one per job).
 */
#ifndef NPUD_POLICY_SCHED_H
#define NPUD_POLICY_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lives inside the submission. The caller fills the middle part before enqueue(); the scheduler owns the rest. */
struct sched_item {
	uint64_t session;
	uint64_t tenant;
	uint32_t device;
	uint64_t arrival; /* order of acceptance: unique, growing */
	uint64_t estimate_ns;

	struct sched_item *prev;
	struct sched_item *next;
	bool queued;
};

struct sched;

struct sched_ops {
	const char *name; /* as the configuration has it */
	struct sched *(*create)(uint32_t devices);
	void (*destroy)(struct sched *sched);
	/* The item may run from now on. Also for an item that a recovery put back: it keeps its arrival. */
	void (*enqueue)(struct sched *sched, struct sched_item *item, uint64_t now_ns);
	/*
	 * What the device should run next, NULL for nothing; the item stays queued. `attached` is the session that
	 * holds the device (0: none): picking another one makes the caller change the tenure.
	 */
	struct sched_item *(*pick_next)(struct sched *sched, uint32_t device, uint64_t attached, uint64_t now_ns);
	/* The next one of this session, NULL if it has none: for a caller that does not want to change the tenure yet.
	 */
	struct sched_item *(*pick_of)(struct sched *sched, uint32_t device, uint64_t session, uint64_t now_ns);
	/* The picked item went to the device: it leaves the queue. */
	void (*dispatched)(struct sched *sched, struct sched_item *item, uint64_t now_ns);
	/* It ended, after so much device time. */
	void (*completed)(struct sched *sched, struct sched_item *item, uint64_t device_ns, uint64_t now_ns);
	/* Leaves the queue without running; no effect if it is not queued. */
	void (*remove)(struct sched *sched, struct sched_item *item);
	/* The session ended: forget what is kept about it. Its items were removed before. */
	void (*remove_session)(struct sched *sched, uint64_t session);
};

extern const struct sched_ops sched_fifo;

/* NULL if there is no such policy. */
const struct sched_ops *sched_by_name(const char *name);

#endif
