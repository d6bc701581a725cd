/* SPDX-License-Identifier: Apache-2.0 */
/* The pairing heap, against a plain search through all that is inside. */
#include "daemon/util/heap.h"

#include <stdint.h>

#include "tests/unit/suite.h"

#define ENTRIES 200u

struct entry {
	struct heap_node link;
	uint32_t key;
	uint32_t serial;
};

static bool before(const struct heap_node *a, const struct heap_node *b)
{
	const struct entry *x = heap_entry(a, const struct entry, link), *y = heap_entry(b, const struct entry, link);

	return x->key != y->key ? x->key < y->key : x->serial < y->serial;
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static struct entry *first_of(const struct heap *heap)
{
	return heap->first ? heap_entry(heap->first, struct entry, link) : NULL;
}

static const struct entry *smallest(const struct entry *entries)
{
	const struct entry *best = NULL;

	for (uint32_t i = 0; i < ENTRIES; i++)
		if (entries[i].link.inside && (!best || before(&entries[i].link, &best->link)))
			best = &entries[i];
	return best;
}

static uint32_t count_walk(const struct heap *heap)
{
	uint32_t count = 0;

	for (const struct heap_node *at = heap->first; at; at = heap_next(at)) {
		ck_assert(at->inside);
		count++;
	}
	return count;
}

START_TEST(the_first_is_the_smallest_after_any_insertion_and_removal)
{
	static struct entry entries[ENTRIES];
	struct heap heap;
	uint32_t state = 1, inside = 0;

	heap_init(&heap, before);
	for (uint32_t step = 0; step < 20000; step++) {
		struct entry *entry = &entries[next_random(&state) % ENTRIES];
		if (entry->link.inside) {
			heap_remove(&heap, &entry->link);
			inside--;
		} else {
			entry->key = next_random(&state) % 50;
			entry->serial = step;
			heap_insert(&heap, &entry->link);
			inside++;
		}
		ck_assert_ptr_eq(first_of(&heap), smallest(entries));
		if (step % 100 == 0)
			ck_assert_uint_eq(count_walk(&heap), inside);
	}
}
END_TEST

START_TEST(what_is_taken_from_the_front_comes_in_order)
{
	static struct entry entries[ENTRIES];
	struct heap heap;
	uint32_t state = 7, last = 0;

	heap_init(&heap, before);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		entries[i] = (struct entry){.key = next_random(&state), .serial = i};
		heap_insert(&heap, &entries[i].link);
	}
	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct entry *entry = first_of(&heap);
		ck_assert_uint_ge(entry->key, last);
		last = entry->key;
		heap_remove(&heap, &entry->link);
	}
	ck_assert(heap_empty(&heap));
}
END_TEST

START_TEST(inserting_and_removing_twice_changes_nothing)
{
	struct entry entries[2] = {{.key = 1}, {.key = 2}};
	struct heap heap;

	heap_init(&heap, before);
	heap_remove(&heap, &entries[0].link);
	for (int i = 0; i < 2; i++) {
		heap_insert(&heap, &entries[0].link);
		heap_insert(&heap, &entries[1].link);
	}
	ck_assert_uint_eq(count_walk(&heap), 2);
	heap_remove(&heap, &entries[0].link);
	heap_remove(&heap, &entries[0].link);
	ck_assert_ptr_eq(first_of(&heap), &entries[1]);
	ck_assert_uint_eq(count_walk(&heap), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("heap");
	TCase *tcase = tcase_create("heap");

	tcase_add_test(tcase, the_first_is_the_smallest_after_any_insertion_and_removal);
	tcase_add_test(tcase, what_is_taken_from_the_front_comes_in_order);
	tcase_add_test(tcase, inserting_and_removing_twice_changes_nothing);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
