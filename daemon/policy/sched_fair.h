/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the policy "fair": what there is per device, and per tenant on it. */
#ifndef NPUD_POLICY_SCHED_FAIR_H
#define NPUD_POLICY_SCHED_FAIR_H

#include "daemon/policy/sched.h"
#include "daemon/policy/sched_bucket.h"
#include "daemon/policy/sched_class.h"
#include "daemon/policy/sched_late.h"
#include "daemon/policy/sched_tree.h"
#include "daemon/util/list.h"

/* What one class of a device serves. */
struct fair_class {
	struct sched_node root;
	struct list waiting; /* struct fair_share, the one that waits for the longest time first */
	uint32_t waiting_count;
	uint64_t waiting_weight;
	bool by_age; /* the last one was served because it had waited */
};

struct fair_device {
	struct fair_class of[SCHED_CLASSES];
	struct sched_classes classes;
	struct sched_late late;
	struct heap held; /* struct sched_place, by the end of it */
};

struct sched {
	uint64_t ageing_ns;
	uint64_t order;
	uint32_t devices;
	struct fair_device device[];
};

/* A tenant in a class of a device. */
struct fair_share {
	struct sched_node node;
	struct list waiting;
	uint64_t since_ns; /* that it waits, or was served the last time */
	uint64_t since_tag; /* virtual time then */
	uint64_t last_ns; /* that it was served for the last time */
};

/* A tenant on a device. */
struct sched_place {
	struct fair_device *device;
	struct sched_bucket bucket;
	struct heap_node held; /* while the bucket is empty */
	uint64_t held_until_ns;
	struct fair_share of[SCHED_CLASSES];
};

static inline struct sched_place *fair_place(const struct sched_session *session)
{
	return &session->tenant->own.places[session->device];
}

static inline bool fair_is_held(const struct sched_place *place)
{
	return place->held.inside;
}

/* sched_fair.c: an item begins or ceases to be the first of its queue. */
void fair_head_leaves(struct sched_queue *queue);
void fair_head_comes(struct sched_queue *queue);
/* Items of a class of the session begin or cease to wait, in the tenant's books and the device's. */
void fair_wait(struct sched *sched, struct sched_session *session, enum sched_class class, uint32_t items, uint64_t ns,
	       uint64_t now_ns);
void fair_leave(struct sched_session *session, enum sched_class class, uint32_t items, uint64_t ns, uint64_t now_ns);
/* After a change of what waits or is held. */
void fair_update(struct sched_place *place, enum sched_class class, uint64_t now_ns);

/* sched_fair_age.c: a tenant begins or ceases to wait, and is served for so long. */
void fair_age_begin(struct fair_class *all, struct fair_share *share, uint64_t now_ns);
void fair_age_end(struct fair_class *all, struct fair_share *share);
void fair_age_served(const struct sched *sched, struct fair_class *all, struct fair_share *share, uint64_t ns,
		     uint64_t now_ns);
/* Who is next because it has waited for too long, NULL if nobody is. */
struct fair_share *fair_age_due(const struct sched *sched, const struct fair_class *all, uint64_t now_ns);

/* sched_fair_run.c */
void fair_enqueue(struct sched *sched, struct sched_item *item, uint64_t now_ns);
void fair_dispatched(struct sched *sched, struct sched_item *item, uint64_t now_ns);
void fair_completed(struct sched *sched, struct sched_item *item, uint64_t device_ns, uint64_t now_ns);
void fair_remove(struct sched *sched, struct sched_item *item, uint64_t now_ns);
void fair_charge(struct sched *sched, struct sched_session *session, enum sched_class class, uint64_t device_ns,
		 uint64_t now_ns);

/* sched_fair_pick.c */
struct sched_item *fair_pick_next(struct sched *sched, uint32_t device, uint64_t attached, uint64_t now_ns);
struct sched_item *fair_pick_of(struct sched *sched, struct sched_session *session, uint64_t now_ns);
struct sched_item *fair_pick_late(struct sched *sched, uint32_t device, uint64_t now_ns);
uint64_t fair_free_at(struct sched *sched, uint32_t device, uint64_t now_ns);
uint64_t fair_next_change(struct sched *sched, uint32_t device, uint64_t now_ns);
/* Whose bucket has something again may be served again. */
void fair_let_go(struct fair_device *device, uint64_t now_ns);

/* sched_fair_explain.c */
void fair_explain(struct sched *sched, const struct sched_item *item, uint64_t now_ns, struct sched_why *why);

#endif
