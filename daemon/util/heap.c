/* SPDX-License-Identifier: Apache-2.0 */
/* A pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986), without recursion. */
#include "daemon/util/heap.h"

void heap_init(struct heap *heap, bool (*before)(const struct heap_node *a, const struct heap_node *b))
{
	heap->first = NULL;
	heap->before = before;
}

/* Of two roots, the later becomes the first child of the earlier. Either may be NULL. */
static struct heap_node *meld(const struct heap *heap, struct heap_node *a, struct heap_node *b)
{
	if (!a || !b)
		return a ? a : b;
	if (heap->before(b, a)) {
		struct heap_node *swap = a;
		a = b;
		b = swap;
	}
	b->prev = a;
	b->next = a->child;
	if (a->child)
		a->child->prev = b;
	a->child = b;
	return a;
}

static struct heap_node *make_root(struct heap_node *node)
{
	if (node) {
		node->prev = NULL;
		node->next = NULL;
	}
	return node;
}

/* Siblings become one tree: in pairs from the left, then all pairs from the right. */
static struct heap_node *meld_siblings(const struct heap *heap, struct heap_node *node)
{
	struct heap_node *pairs = NULL, *root = NULL;

	while (node) {
		struct heap_node *second = node->next;
		struct heap_node *rest = second ? second->next : NULL;
		struct heap_node *pair = meld(heap, make_root(node), make_root(second));
		pair->next = pairs;
		pairs = pair;
		node = rest;
	}
	while (pairs) {
		struct heap_node *rest = pairs->next;
		root = meld(heap, root, make_root(pairs));
		pairs = rest;
	}
	return root;
}

void heap_insert(struct heap *heap, struct heap_node *node)
{
	if (node->inside)
		return;
	*node = (struct heap_node){.inside = true};
	heap->first = meld(heap, heap->first, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	if (!node->inside)
		return;
	struct heap_node *below = meld_siblings(heap, node->child);
	if (node == heap->first) {
		heap->first = below;
	} else {
		if (node->prev->child == node)
			node->prev->child = node->next;
		else
			node->prev->next = node->next;
		if (node->next)
			node->next->prev = node->prev;
		heap->first = meld(heap, heap->first, below);
	}
	*node = (struct heap_node){.inside = false};
}

struct heap_node *heap_next(const struct heap_node *node)
{
	if (node->child)
		return node->child;
	while (!node->next) {
		/* Back to the first of the siblings, and from there to the parent. */
		while (node->prev && node->prev->child != node)
			node = node->prev;
		if (!node->prev)
			return NULL;
		node = node->prev;
	}
	return node->next;
}
