/* SPDX-License-Identifier: Apache-2.0 */
/* Start-time fair queueing at one node; see sched_tree.h. */
#include "daemon/policy/sched_tree.h"

static const struct sched_node *node_of(const struct heap_node *link)
{
	return heap_entry(link, struct sched_node, link);
}

static bool earlier(const struct heap_node *a, const struct heap_node *b)
{
	const struct sched_node *x = node_of(a), *y = node_of(b);

	return x->tag != y->tag ? x->tag < y->tag : x->order < y->order;
}

void node_init(struct sched_node *node, struct sched_node *parent, uint32_t weight)
{
	*node = (struct sched_node){.parent = parent, .weight = weight ? weight : 1};
	heap_init(&node->children, earlier);
	if (parent)
		node->tag = parent->virtual_now;
}

struct sched_node *node_first(const struct sched_node *parent)
{
	struct heap_node *first = parent->children.first;

	return first ? heap_entry(first, struct sched_node, link) : NULL;
}

static bool is_active(const struct sched_node *node)
{
	return node->waiting || node->running;
}

/* Among its siblings, or not; also when its tag has changed. */
static void place(struct sched_node *node)
{
	if (!node->parent)
		return;
	heap_remove(&node->parent->children, &node->link);
	if (node_is_ready(node))
		heap_insert(&node->parent->children, &node->link);
}

/* No claim from a time without work. */
static void catch_up(struct sched_node *node)
{
	if (node->parent && node->tag < node->parent->virtual_now) {
		node->tag = node->parent->virtual_now;
		node->rest = 0;
	}
}

/* The end of a busy period, of its own or of what is below it. */
static void settle(struct sched_node *node)
{
	if (is_active(node))
		return;
	if (node->virtual_now < node->virtual_end)
		node->virtual_now = node->virtual_end;
	if (node->parent && node->parent->virtual_end < node->tag)
		node->parent->virtual_end = node->tag;
}

static void pay(struct sched_node *node, uint64_t ns)
{
	uint64_t sum = node->rest + ns;

	node->tag += sum / node->weight;
	node->rest = (uint32_t)(sum % node->weight);
}

static void pay_back(struct sched_node *node, uint64_t ns)
{
	if (ns <= node->rest) {
		node->rest -= (uint32_t)ns;
		return;
	}
	uint64_t missing = ns - node->rest;
	uint64_t units = (missing + node->weight - 1) / node->weight;

	/* More than it ever paid only if its weight was lowered in between. */
	node->rest = units <= node->tag ? (uint32_t)(units * node->weight - missing) : 0;
	node->tag = units <= node->tag ? node->tag - units : 0;
}

void node_move(struct sched_node *node, struct sched_node *parent)
{
	uint64_t now = node->parent->virtual_now;
	uint64_t owed = node->tag > now ? node->tag - now : 0;

	heap_remove(&node->parent->children, &node->link);
	node->parent = parent;
	node->tag = parent->virtual_now + owed;
}

void node_set_weight(struct sched_node *node, uint32_t weight)
{
	node->weight = weight ? weight : 1;
	node->rest = 0;
}

void node_wait(struct sched_node *node, uint32_t items, uint64_t ns, uint64_t order)
{
	bool first = node->waiting == 0;

	if (!is_active(node))
		catch_up(node);
	node->waiting += items;
	node->waiting_ns += ns;
	if (!first)
		return;
	node->order = order;
	place(node);
}

void node_leave(struct sched_node *node, uint32_t items, uint64_t ns)
{
	node->waiting -= items;
	node->waiting_ns -= ns;
	if (node->waiting == 0)
		place(node);
	settle(node);
}

void node_start(struct sched_node *node, uint64_t ns, uint64_t charged_ns, uint64_t order)
{
	/* Out of turn, whoever begins now is not to begin behind those whose turn it was. */
	if (node->parent && node_is_first(node) && node->parent->virtual_now < node->tag)
		node->parent->virtual_now = node->tag;
	node->waiting--;
	node->waiting_ns -= ns;
	node->running++;
	node->order = order;
	if (node->parent)
		heap_remove(&node->parent->children, &node->link);
	pay(node, charged_ns);
	place(node);
}

void node_end(struct sched_node *node, uint64_t charged_ns, uint64_t used_ns)
{
	node->running--;
	if (node->parent)
		heap_remove(&node->parent->children, &node->link);
	if (used_ns > charged_ns)
		pay(node, used_ns - charged_ns);
	else
		pay_back(node, charged_ns - used_ns);
	place(node);
	settle(node);
}

void node_charge(struct sched_node *node, uint64_t ns)
{
	if (node->parent)
		heap_remove(&node->parent->children, &node->link);
	pay(node, ns);
	place(node);
	settle(node);
}

void node_call(struct sched_node *node)
{
	if (node->tag <= node->parent->virtual_now)
		return;
	heap_remove(&node->parent->children, &node->link);
	node->tag = node->parent->virtual_now;
	node->rest = 0;
	place(node);
}

void node_hold(struct sched_node *node, bool held)
{
	node->held = held;
	if (!held)
		catch_up(node);
	place(node);
}
