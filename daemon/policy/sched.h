/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler's interface: who runs next on which device. Pure: time and events come as arguments, decisions go back;
 * no I/O, no clock; only create() and tenant_open() allocate. The tree that shares a device's time is tenant → session
 * → queue, once per class. An item is one submission that may run now; what it waits for is the caller's affair.
 */
#ifndef NPUD_POLICY_SCHED_H
#define NPUD_POLICY_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/util/heap.h"

/* In the order in which they are served; each below another is guaranteed its remainder. */
enum sched_class { SCHED_REALTIME = 0, SCHED_HIGH, SCHED_NORMAL, SCHED_IDLE, SCHED_CLASSES };

#define SCHED_MAX_WEIGHT 1000u
#define SCHED_DEFAULT_WEIGHT 100u
#define SCHED_WHOLE 1000u /* permille */

struct sched_params {
	uint32_t devices;
	/*
	 * A tenant that waited so long for what its class gets is next, however small its weight is beside the others';
	 * but no sooner than if all weighed the same, and not twice in a row, so that the weights still count when many
	 * have waited. 0: never.
	 */
	uint64_t ageing_ns;
	/* Of the device time while it has work, at least, in permille. Of SCHED_REALTIME: ignored. */
	uint32_t remainder[SCHED_CLASSES];
};

/* A place in the tree that shares the time; sched_tree.h. */
struct sched_node {
	struct heap_node link; /* in the parent's heap while something below waits */
	struct sched_node *parent;
	struct heap children; /* by tag */
	uint64_t tag; /* virtual time at which it is next to be served: nanoseconds per unit of weight */
	uint32_t rest; /* of the last division by the weight */
	uint32_t weight;
	uint64_t order; /* among equal tags */
	uint64_t virtual_now; /* of the children: the tag of the one that was served last */
	uint64_t virtual_end; /* of the children: the largest tag of those that have nothing to do */
	uint64_t waiting_ns; /* estimates of the items below that wait */
	uint32_t waiting; /* items below */
	uint32_t running; /* items below that are on the device */
	bool held; /* may not be served */
};

struct sched_place;

/* Inside the caller's objects; the fields before `own` are set before _open(), and by the calls below afterwards. */
struct sched_tenant {
	uint32_t weight; /* 1..SCHED_MAX_WEIGHT */
	uint32_t time_permille; /* of a device's time at most; 0 or SCHED_WHOLE: no limit */
	struct {
		struct sched_place *places; /* one per device */
	} own;
};

struct sched_session {
	struct sched_tenant *tenant;
	uint64_t id;
	uint64_t space; /* sessions of the same one follow each other without a switch; 0: none does */
	uint32_t device;
	uint32_t weight;
	struct {
		struct sched_node nodes[SCHED_CLASSES];
		struct heap urgent[SCHED_CLASSES]; /* queues whose first item has a deadline */
	} own;
};

struct sched_item;

struct sched_queue {
	struct sched_session *session;
	enum sched_class class;
	uint32_t weight;
	struct {
		struct sched_node node;
		struct heap_node urgent;
		struct sched_item *first, *last; /* by arrival */
		uint64_t spread_ns; /* mean error of the estimates */
	} own;
};

/* Lives inside the submission. */
struct sched_item {
	struct sched_queue *queue;
	uint64_t arrival; /* order of acceptance: unique, growing. Inside a queue items start in this order */
	uint64_t estimate_ns; /* of its device time; charged when it is dispatched, corrected when it ends */
	uint64_t deadline_ns; /* it has to end by then, on the caller's clock; 0: none */
	struct {
		struct sched_item *prev, *next;
		enum { SCHED_ITEM_AWAY = 0, SCHED_ITEM_QUEUED, SCHED_ITEM_RUNNING } state;
		struct heap_node late; /* by the latest start that meets the deadline */
		uint64_t latest_ns;
		uint64_t running_ns; /* that it takes at most, once it runs */
		uint64_t charged_ns;
		enum sched_class class; /* that was charged */
		bool contended; /* a better class had work when it was dispatched */
	} own;
};

/* Why an item is where it is, for whoever asks. */
struct sched_why {
	uint32_t position; /* items that would be picked before it if nothing else came: at least so many */
	uint32_t ahead[SCHED_CLASSES]; /* of them, by class */
	uint32_t ahead_of_tenant; /* of them, of its own tenant */
	uint64_t ahead_ns; /* what they are estimated to take */
	bool throttled; /* its tenant has used up its time */
	uint64_t throttled_ns; /* for so long */
};

struct sched;

struct sched_ops {
	const char *name; /* as the configuration has it */
	struct sched *(*create)(const struct sched_params *params);
	void (*destroy)(struct sched *sched);

	/* -ENOMEM */
	int (*tenant_open)(struct sched *sched, struct sched_tenant *tenant);
	/* Its sessions were closed before. What it owes goes with it. */
	void (*tenant_close)(struct sched *sched, struct sched_tenant *tenant);
	/*
	 * It was served ahead of the others or has used up time that it is allowed: as a new tenant it would be served
	 * sooner. Who lets tenants come and go closes them when they owe nothing.
	 */
	bool (*tenant_owes)(struct sched *sched, const struct sched_tenant *tenant, uint64_t now_ns);
	void (*session_open)(struct sched *sched, struct sched_session *session);
	/* Its queues were closed before. */
	void (*session_close)(struct sched *sched, struct sched_session *session);
	/* To another device: nothing of it is queued or running. */
	void (*session_move)(struct sched *sched, struct sched_session *session, uint32_t device);
	void (*queue_open)(struct sched *sched, struct sched_queue *queue);
	/* Nothing of it is queued or running. */
	void (*queue_close)(struct sched *sched, struct sched_queue *queue);
	/* From the next pick on. Nothing that waits is lost or changes its order inside the queue. */
	void (*queue_change)(struct sched *sched, struct sched_queue *queue, enum sched_class class, uint32_t weight,
			     uint64_t now_ns);

	/* The item may run from now on: a new one, or one that a recovery put back from the device uncharged. */
	void (*enqueue)(struct sched *sched, struct sched_item *item, uint64_t now_ns);
	/*
	 * What the device should run next, NULL for nothing; the item stays queued. `attached` is the session that
	 * holds the device (0: none): picking another one makes the caller change the tenure.
	 */
	struct sched_item *(*pick_next)(struct sched *sched, uint32_t device, uint64_t attached, uint64_t now_ns);
	/*
	 * The next one of this session, NULL if it has none that is of the class of pick_next() or a better one, or may
	 * not run: for a caller that does not want to change the tenure yet.
	 */
	struct sched_item *(*pick_of)(struct sched *sched, struct sched_session *session, uint64_t now_ns);
	/*
	 * An item that waits and can no longer be relied on to meet its deadline, behind what runs and by what
	 * estimates are worth; NULL if there is none. The caller removes it.
	 */
	struct sched_item *(*pick_late)(struct sched *sched, uint32_t device, uint64_t now_ns);
	/* When what runs is estimated to have ended, at the latest: what is dispatched now starts then. */
	uint64_t (*free_at)(struct sched *sched, uint32_t device, uint64_t now_ns);
	/*
	 * When pick_next() may find something where it found nothing, or pick_late(), though nothing was called in
	 * between: after now_ns. UINT64_MAX: never.
	 */
	uint64_t (*next_change)(struct sched *sched, uint32_t device, uint64_t now_ns);
	/* The picked item went to the device: it leaves the queue and is charged its estimate. */
	void (*dispatched)(struct sched *sched, struct sched_item *item, uint64_t now_ns);
	/* It ended, after so much device time. */
	void (*completed)(struct sched *sched, struct sched_item *item, uint64_t device_ns, uint64_t now_ns);
	/* Leaves the queue without running, or the device without having run; no effect if it is neither. */
	void (*remove)(struct sched *sched, struct sched_item *item, uint64_t now_ns);
	/* Device time that the session caused beside its items: a change of tenure. */
	void (*charge)(struct sched *sched, struct sched_session *session, enum sched_class class, uint64_t device_ns,
		       uint64_t now_ns);
	void (*explain)(struct sched *sched, const struct sched_item *item, uint64_t now_ns, struct sched_why *why);
};

extern const struct sched_ops sched_fair;
extern const struct sched_ops sched_fifo;

/* NULL if there is no such policy. */
const struct sched_ops *sched_by_name(const char *name);

#endif
