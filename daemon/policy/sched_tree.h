/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree that shares a device's time: start-time fair queueing (Goyal, Vin, Cheng 1996) at each of its nodes, over
 * nanoseconds of device time. Knows weights and tags; not what a tenant, a class or a deadline is.
 *
 * A node's tag is the virtual time of its next start. Service of t ns adds t / weight. The parent's virtual time is the
 * tag of the child that was served in its turn; a node that gets something to do again begins there or at its own tag,
 * whichever is later: who slept has no claim, who took too much still owes. Divisions carry their rest, so nothing is
 * lost however small the items are. A tag reaches 64 bits after 584 years of one node of weight 1 alone.
 *
 * Calls go from the leaf to the root: what a child does is told to the child first.
 */
#ifndef NPUD_POLICY_SCHED_TREE_H
#define NPUD_POLICY_SCHED_TREE_H

#include "daemon/policy/sched.h"

/* A node starts even with those that are served now. `parent` may be NULL. */
void node_init(struct sched_node *node, struct sched_node *parent, uint32_t weight);
/* Below another parent from now on, with nothing waiting; what it owes goes with it. */
void node_move(struct sched_node *node, struct sched_node *parent);
void node_set_weight(struct sched_node *node, uint32_t weight);

/* Items below begin or cease to wait. `order` grows: it decides between equal tags. */
void node_wait(struct sched_node *node, uint32_t items, uint64_t ns, uint64_t order);
void node_leave(struct sched_node *node, uint32_t items, uint64_t ns);
/* One that waited for so long runs, is charged, and ends after having used so much. */
void node_start(struct sched_node *node, uint64_t ns, uint64_t charged_ns, uint64_t order);
void node_end(struct sched_node *node, uint64_t charged_ns, uint64_t used_ns);
/* Service beside the items. */
void node_charge(struct sched_node *node, uint64_t ns);
/* Its turn is now, if it was to come later. */
void node_call(struct sched_node *node);
/* Not to be served until it is let go; then it has no claim from the time between. */
void node_hold(struct sched_node *node, bool held);

/* The child whose turn it is, NULL if none waits. */
struct sched_node *node_first(const struct sched_node *parent);

static inline bool node_is_first(const struct sched_node *node)
{
	return node->parent->children.first == &node->link;
}

/* It would be served sooner if it began now. */
static inline bool node_owes(const struct sched_node *node)
{
	return node->tag > node->parent->virtual_now;
}

static inline bool node_is_ready(const struct sched_node *node)
{
	return node->waiting && !node->held;
}

#endif
