/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TOPK: per line a heap of the k best, then sorted. Allocation is k entries of thread scratch; equal values keep the
 * lower index; NaN counts as the largest, so the order is total.
 */
#include <errno.h>

#include "emulator/ops/internal.h"

struct entry {
	double value;
	int64_t wide; /* integers, exactly */
	int64_t index;
};

struct topk {
	const struct op_ctx *ctx;
	struct isa_topk_params params;
	uint32_t dtype;
	int64_t n;
	int64_t k;
	int64_t step[3];
	struct entry *heap;
};

static int compare(double a, double b)
{
	if (a != a || b != b)
		return (a != a) - (b != b);
	return (a > b) - (a < b);
}

/* Does a come before b in the result? */
static bool before(const struct topk *t, const struct entry *a, const struct entry *b)
{
	int order = a->wide != b->wide ? (a->wide > b->wide ? 1 : -1) : compare(a->value, b->value);

	if (order)
		return t->params.largest ? order > 0 : order < 0;
	return a->index < b->index;
}

static void entry_load(const struct topk *t, const uint8_t *in, int64_t i, struct entry *e)
{
	const uint8_t *p = in + i * t->step[2];

	e->index = i;
	e->value = 0;
	e->wide = 0;
	if (type_is_integer(t->dtype)) {
		e->wide = type_load_s64(p, t->dtype);
		if (t->dtype == ZY_DATA_U64)
			e->wide = (int64_t)((uint64_t)e->wide ^ 1ull << 63);
	} else {
		e->value = type_load(p, t->dtype);
	}
}

/* The heap's root is the entry that comes last. */
static void sift(const struct topk *t, int64_t at, int64_t count)
{
	struct entry *h = t->heap;

	for (;;) {
		int64_t worst = at;
		for (int64_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++)
			if (before(t, &h[worst], &h[child]))
				worst = child;
		if (worst == at)
			return;
		struct entry swap = h[at];
		h[at] = h[worst];
		h[worst] = swap;
		at = worst;
	}
}

static void topk_line(const struct topk *t, uint8_t *values, uint8_t *indices, const uint8_t *in)
{
	struct entry *h = t->heap;

	for (int64_t i = 0; i < t->k; i++)
		entry_load(t, in, i, &h[i]);
	for (int64_t i = t->k / 2; i-- > 0;)
		sift(t, i, t->k);
	for (int64_t i = t->k; i < t->n; i++) {
		struct entry e;
		entry_load(t, in, i, &e);
		if (before(t, &e, &h[0])) {
			h[0] = e;
			sift(t, 0, t->k);
		}
	}
	for (int64_t left = t->k; left-- > 1;) {
		struct entry swap = h[0];
		h[0] = h[left];
		h[left] = swap;
		sift(t, 0, left);
	}
	for (int64_t i = 0; i < t->k; i++) {
		memcpy(values + i * t->step[0], in + h[i].index * t->step[2], type_bytes(t->dtype));
		*(int64_t *)(void *)(indices + i * t->step[1]) = h[i].index;
	}
}

static void topk_row(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct topk *t = arg;

	for (int64_t i = 0; i < n && !record_cancelled(t->ctx); i++)
		topk_line(t, p[0] + i * step[0], p[1] + i * step[1], p[2] + i * step[2]);
}

static int topk_check(struct op_ctx *ctx, struct topk *k)
{
	const struct op_tensor *t = ctx->t;

	int rc = record_operands(ctx, 3, 3);
	if (!rc)
		rc = record_params(ctx, &k->params, sizeof(k->params));
	if (rc)
		return rc;
	uint32_t axis = k->params.axis;
	if (axis >= t[2].rank || ctx->split == axis || t[0].dtype != t[2].dtype || t[1].dtype != ZY_DATA_S64 ||
	    t[0].rank != t[2].rank || !tensor_same_dims(&t[0], &t[1]) || tensor_check_output(&t[1]))
		return -EINVAL;
	for (uint32_t i = 0; i < t[0].rank; i++)
		if (i == axis ? t[0].dims[i] > t[2].dims[i] : t[0].dims[i] != t[2].dims[i])
			return -EINVAL;
	return t[0].dtype == ZY_DATA_BOOL ? -EOPNOTSUPP : 0;
}

int op_topk(struct op_ctx *ctx)
{
	struct op_tensor *t = ctx->t;
	struct topk k = {.ctx = ctx};

	int rc = topk_check(ctx, &k);
	if (rc || ctx->empty)
		return rc;
	uint32_t axis = k.params.axis;
	for (uint32_t i = 0; i < 3; i++)
		tensor_take(ctx, i);
	record_charge(ctx, tensor_elements(&t[2]) * 4);
	k.dtype = t[2].dtype;
	k.n = t[2].dims[axis];
	k.k = t[0].dims[axis];
	if (!tensor_elements(&t[0]))
		return 0;
	k.heap = scratch_get((size_t)k.k * sizeof(*k.heap));
	if (!k.heap)
		return -ENOMEM;
	rc = tensor_map_all(ctx, 2);
	if (rc)
		return rc;
	struct op_tensor lines[3];
	for (uint32_t i = 0; i < 3; i++) {
		lines[i] = t[i];
		lines[i].dims[axis] = 1;
		k.step[i] = t[i].strides[axis] * (int64_t)t[i].esize;
	}
	rc = iterate_rows(ctx, (const struct op_tensor *const[]){&lines[0], &lines[1], &lines[2]}, 3, topk_row, &k);
	return rc ? rc : record_cancelled(ctx) ? -ECANCELED : 0;
}
