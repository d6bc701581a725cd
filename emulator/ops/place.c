/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators that only place elements: SLICE, PAD and TRILU. Run-time bounds are read once and checked before any view
 * is made from them.
 */
#include <errno.h>

#include "emulator/ops/index.h"

/* ------------------------------------------------------------------ SLICE */

static bool vector_of(const struct op_ctx *ctx, uint32_t index, int64_t n)
{
	const struct op_tensor *t = &ctx->t[index];

	return !tensor_present(ctx, index) || (t->rank == 1 && t->dims[0] == n && index_type(t->dtype));
}

static int64_t vector_load(const struct op_tensor *t, int64_t i)
{
	const uint8_t *p = t->data + i * t->strides[0] * (int64_t)t->esize;

	return t->dtype == ZY_DATA_S32 ? *(const volatile int32_t *)(const volatile void *)p
				       : *(const volatile int64_t *)(const volatile void *)p;
}

static int slice_check(struct op_ctx *ctx, int64_t *n)
{
	const struct op_tensor *t = ctx->t;

	int rc = record_operands(ctx, 3, 5);
	if (!rc)
		rc = record_params(ctx, NULL, 0);
	if (rc)
		return rc;
	if (t[0].rank != t[1].rank || t[0].dtype != t[1].dtype || t[2].rank != 1 || t[2].dims[0] > t[1].rank)
		return -EINVAL;
	*n = t[2].dims[0];
	return vector_of(ctx, 2, *n) && vector_of(ctx, 3, *n) && vector_of(ctx, 4, *n) ? 0 : -EINVAL;
}

/* One axis of the data becomes start, start + step, ... as often as the output has elements there. */
static int slice_axis(struct op_tensor *data, uint32_t axis, int64_t start, int64_t step, int64_t count)
{
	int64_t dim = data->dims[axis];

	if (step == 0 || step > INT32_MAX || step < INT32_MIN)
		return -EINVAL;
	if (start < 0)
		start = start < -dim ? 0 : start + dim;
	if (start > (step < 0 ? dim - 1 : dim))
		start = step < 0 ? dim - 1 : dim;
	if (count) {
		int64_t last = start + (count - 1) * step;
		if (start < 0 || start >= dim || last < 0 || last >= dim)
			return -EINVAL;
	}
	tensor_slice(data, axis, count ? start : 0, count);
	data->strides[axis] *= step;
	return 0;
}

static int slice_view(struct op_ctx *ctx, int64_t n)
{
	struct op_tensor *t = ctx->t;
	uint32_t seen = 0;

	for (int64_t i = 0; i < n; i++) {
		int64_t axis = tensor_present(ctx, 3) ? vector_load(&t[3], i) : i;
		int64_t step = tensor_present(ctx, 4) ? vector_load(&t[4], i) : 1;
		if (axis < 0)
			axis += t[1].rank;
		if (axis < 0 || axis >= (int64_t)t[1].rank || seen & 1u << axis)
			return -EINVAL;
		seen |= 1u << axis;
		int rc = slice_axis(&t[1], (uint32_t)axis, vector_load(&t[2], i), step, t[0].dims[axis]);
		if (rc)
			return rc;
	}
	return tensor_same_dims(&t[0], &t[1]) ? 0 : -EINVAL;
}

int op_slice(struct op_ctx *ctx)
{
	struct op_tensor *t = ctx->t;
	int64_t n;

	int rc = slice_check(ctx, &n);
	if (rc || ctx->empty)
		return rc;
	for (uint32_t i = 2; !rc && i < ctx->count; i++)
		if (tensor_present(ctx, i))
			rc = tensor_map(ctx, i, OP_READ);
	if (!rc)
		rc = slice_view(ctx, n);
	if (rc)
		return rc;
	tensor_take(ctx, 0);
	tensor_take(ctx, 1);
	record_charge(ctx, tensor_elements(&t[0]));
	rc = tensor_map(ctx, 0, OP_WRITE);
	if (!rc)
		rc = tensor_map(ctx, 1, OP_READ);
	return rc ? rc : copy_view(ctx, &t[0], &t[1]);
}

/* ------------------------------------------------------------------ TRILU */

/* Columns [from, to) of row `at`, copied or zero. */
static int trilu_part(struct op_ctx *ctx, int64_t at, int64_t from, int64_t to, bool copy)
{
	static const uint64_t zero;
	struct op_tensor out = ctx->t[0];
	struct op_tensor in = ctx->t[1];
	uint32_t rank = out.rank;

	if (from >= to)
		return 0;
	tensor_slice(&out, rank - 2, at, 1);
	tensor_slice(&out, rank - 1, from, to - from);
	if (!copy)
		return fill_view(ctx, &out, &zero);
	tensor_slice(&in, rank - 2, at, 1);
	tensor_slice(&in, rank - 1, from, to - from);
	return copy_view(ctx, &out, &in);
}

int op_trilu(struct op_ctx *ctx)
{
	struct isa_trilu_params params;
	const struct op_tensor *t = ctx->t;

	int rc = record_operands(ctx, 2, 2);
	if (!rc)
		rc = record_params(ctx, &params, sizeof(params));
	if (rc)
		return rc;
	uint32_t rank = t[0].rank;
	if (rank < 2 || !tensor_same_dims(&t[0], &t[1]) || t[0].dtype != t[1].dtype)
		return -EINVAL;
	if (ctx->empty)
		return 0;
	tensor_take(ctx, 0);
	tensor_take(ctx, 1);
	record_charge(ctx, tensor_elements(&t[0]));
	rc = tensor_map_all(ctx, 1);
	int64_t row0 = ctx->split == rank - 2 ? ctx->begin : 0;
	int64_t column0 = ctx->split == rank - 1 ? ctx->begin : 0;
	int64_t columns = t[0].dims[rank - 1];
	for (int64_t i = 0; !rc && i < t[0].dims[rank - 2]; i++) {
		/* The upper part starts at column row + k; the lower part ends there, inclusive. */
		int64_t edge = i + row0 + params.k + (params.upper ? 0 : 1) - column0;
		edge = edge < 0 ? 0 : edge > columns ? columns : edge;
		rc = trilu_part(ctx, i, 0, edge, !params.upper);
		if (!rc)
			rc = trilu_part(ctx, i, edge, columns, params.upper);
		if (!rc && record_cancelled(ctx))
			rc = -ECANCELED;
	}
	return rc;
}
