/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive pairing heap: insert and first in O(1), remove in O(log n) amortised, no allocation. A node that is all
 * zeros is in no heap. What a node is ordered by may change only while it is outside.
 */
#ifndef NPUD_UTIL_HEAP_H
#define NPUD_UTIL_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#define heap_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

struct heap_node {
	struct heap_node *child; /* the first of them */
	struct heap_node *prev; /* sibling, or the parent of a first child */
	struct heap_node *next; /* sibling */
	bool inside;
};

struct heap {
	struct heap_node *first;
	bool (*before)(const struct heap_node *a, const struct heap_node *b); /* a total order */
};

void heap_init(struct heap *heap, bool (*before)(const struct heap_node *a, const struct heap_node *b));
/* No effect on a node that is inside. */
void heap_insert(struct heap *heap, struct heap_node *node);
/* No effect on a node that is outside. */
void heap_remove(struct heap *heap, struct heap_node *node);
/* Of a walk over all that are inside, in no particular order, from `first` on; NULL at its end. */
struct heap_node *heap_next(const struct heap_node *node);

static inline bool heap_empty(const struct heap *heap)
{
	return heap->first == NULL;
}

#endif
