/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory and order: gives every intermediate a place that no other tensor alive at the same time overlaps, lets
 * elementwise results replace an input that dies, and puts barriers where tasks could otherwise overtake each other.
 */
#include "emulator/compiler/cc.h"

#include <stdlib.h>
#include <string.h>

static uint64_t align_up(uint64_t bytes)
{
	return (bytes + CC_ALIGN - 1) & ~(uint64_t)(CC_ALIGN - 1);
}

struct storage *storage_place(struct storage *st)
{
	while (st->host)
		st = st->host;
	return st;
}

static void find_lifetimes(struct cc *cc)
{
	for (size_t i = 0; i < cc->storage_count; i++) {
		cc->storages[i]->first = UINT32_MAX;
		cc->storages[i]->last = 0;
		cc->storages[i]->host = NULL;
	}
	for (size_t i = 0; i < cc->insn_count; i++) {
		for (uint32_t k = 0; k < cc->insns[i]->count; k++) {
			struct storage *st = cc->insns[i]->v[k].st;
			if (!st)
				continue;
			st->first = st->first < i ? st->first : (uint32_t)i;
			st->last = (uint32_t)i;
		}
	}
}

static bool identical_walk(const struct view *a, const struct view *b)
{
	if (a->offset != b->offset || !view_same_dims(a, b) || dtype_bytes(a->dtype) != dtype_bytes(b->dtype))
		return false;
	for (uint32_t i = 0; i < a->rank; i++)
		if (a->dims[i] > 1 && a->strides[i] != b->strides[i])
			return false;
	return true;
}

/* Every task then reads exactly the elements that it overwrites. */
static bool can_replace(const struct insn *insn, uint32_t k, uint32_t now)
{
	const struct view *out = &insn->v[0];
	const struct view *in = &insn->v[k];

	if (!view_present(in) || in->st->kind != ST_INTERMEDIATE || out->st->kind != ST_INTERMEDIATE ||
	    in->st == out->st)
		return false;
	if (storage_place(in->st)->last != now || out->st->first != now || out->st->writers != 1 || out->st->host)
		return false;
	if (!view_covers(out) || !view_covers(in) || !identical_walk(out, in))
		return false;
	for (uint32_t j = 1; j < insn->count; j++)
		if (j != k && view_present(&insn->v[j]) && storage_place(insn->v[j].st) == storage_place(in->st) &&
		    !identical_walk(&insn->v[j], in))
			return false;
	return true;
}

static void share_places(struct cc *cc)
{
	cc_count_uses(cc);
	for (size_t i = 0; i < cc->insn_count; i++) {
		struct insn *insn = cc->insns[i];
		if (insn->op != ISA_T_UNARY && insn->op != ISA_T_BINARY && insn->op != ISA_T_SELECT)
			continue;
		for (uint32_t k = 1; k < insn->count; k++) {
			if (!can_replace(insn, k, (uint32_t)i))
				continue;
			struct storage *host = storage_place(insn->v[k].st);
			insn->v[0].st->host = host;
			host->last = insn->v[0].st->last;
			break;
		}
	}
}

static int by_size(const void *a, const void *b)
{
	const struct storage *x = *(struct storage *const *)a;
	const struct storage *y = *(struct storage *const *)b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static bool alive_together(const struct storage *a, const struct storage *b)
{
	return a->first <= b->last && b->first <= a->last;
}

/* Lowest gap that fits between the tensors alive at the same time; `placed` is sorted by place. */
static uint64_t find_gap(struct storage *const *placed, size_t count, const struct storage *st)
{
	uint64_t at = 0;

	for (size_t i = 0; i < count; i++) {
		if (!alive_together(placed[i], st))
			continue;
		if (placed[i]->place >= at + align_up(st->bytes))
			break;
		uint64_t end = placed[i]->place + align_up(placed[i]->bytes);
		at = end > at ? end : at;
	}
	return at;
}

static void insert_placed(struct storage **placed, size_t count, struct storage *st)
{
	while (count > 0 && placed[count - 1]->place > st->place) {
		placed[count] = placed[count - 1];
		count--;
	}
	placed[count] = st;
}

static void place_all(struct cc *cc)
{
	struct storage **todo = cc_alloc(cc, cc->storage_count + 1, sizeof(struct storage *));
	struct storage **placed = cc_alloc(cc, cc->storage_count + 1, sizeof(struct storage *));
	size_t count = 0;

	if (cc_failed(cc))
		return;
	for (size_t i = 0; i < cc->storage_count; i++) {
		struct storage *st = cc->storages[i];
		if (st->kind == ST_INTERMEDIATE && st->first != UINT32_MAX && !st->host)
			todo[count++] = st;
	}
	qsort(todo, count, sizeof(struct storage *), by_size);
	for (size_t i = 0; i < count; i++) {
		todo[i]->place = find_gap(placed, i, todo[i]);
		insert_placed(placed, i, todo[i]);
		uint64_t end = todo[i]->place + align_up(todo[i]->bytes);
		cc->stats.planned_bytes = end > cc->stats.planned_bytes ? end : cc->stats.planned_bytes;
	}
	if (cc->stats.planned_bytes > 3ull << 30)
		cc_unsupported(cc, "intermediate results of %llu bytes", (unsigned long long)cc->stats.planned_bytes);
}

static void find_peak(struct cc *cc)
{
	int64_t *change = cc_alloc(cc, cc->insn_count + 2, sizeof(*change));
	int64_t live = 0;

	if (cc_failed(cc))
		return;
	for (size_t i = 0; i < cc->storage_count; i++) {
		const struct storage *st = cc->storages[i];
		if (st->kind != ST_INTERMEDIATE || st->first == UINT32_MAX || st->host)
			continue;
		change[st->first] += (int64_t)align_up(st->bytes);
		change[st->last + 1] -= (int64_t)align_up(st->bytes);
	}
	for (size_t i = 0; i < cc->insn_count; i++) {
		live += change[i];
		if ((uint64_t)live > cc->stats.live_peak_bytes)
			cc->stats.live_peak_bytes = (uint64_t)live;
	}
}

/* Both touch the same memory, at least one writes. Writers of one tensor never write the same element. */
static bool conflict(const struct insn *a, uint32_t i, const struct insn *b, uint32_t k)
{
	struct storage *x = a->v[i].st;
	struct storage *y = b->v[k].st;
	bool write_x = insn_writes(a, i);
	bool write_y = insn_writes(b, k);

	if (!x || !y || (!write_x && !write_y) || x->kind != y->kind || x->kind == ST_CONST)
		return false;
	if (x == y)
		return write_x != write_y;
	if (x->kind != ST_INTERMEDIATE)
		return false;
	x = storage_place(x);
	y = storage_place(y);
	return x->place < y->place + align_up(y->bytes) && y->place < x->place + align_up(x->bytes);
}

/* A task may be in `b` while another is still in `a`, unless each stays within its own part of what both touch. */
static bool depends(const struct insn *a, const struct insn *b)
{
	for (uint32_t i = 0; i < a->count; i++)
		for (uint32_t k = 0; k < b->count; k++)
			if (conflict(a, i, b, k) && !slab_shared(a, i, b, k))
				return true;
	return false;
}

/* A group starts when the one before is complete, so dependencies only matter inside one. */
static void place_barriers(struct cc *cc)
{
	size_t since = 0;

	for (size_t i = 0; i < cc->insn_count; i++) {
		struct insn *insn = cc->insns[i];
		insn->barrier = false;
		if (i % CC_GROUP_INSNS == 0) {
			since = i;
			continue;
		}
		for (size_t j = since; j < i && !insn->barrier; j++)
			insn->barrier = depends(cc->insns[j], insn);
		if (insn->barrier) {
			since = i;
			cc->stats.barriers++;
		}
	}
}

void pass_plan(struct cc *cc)
{
	if (cc_failed(cc))
		return;
	find_lifetimes(cc);
	share_places(cc);
	place_all(cc);
	find_peak(cc);
	if (!cc_failed(cc))
		place_barriers(cc);
}
