/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators that work along one axis, line by line: LRN, CUMSUM, ONE_HOT. Lines are independent, so any other axis
 * may be shared between tasks.
 */
#include <errno.h>
#include <math.h>

#include "emulator/ops/internal.h"

struct line {
	const struct op_ctx *ctx;
	uint32_t dtype;
	int64_t n;
	int64_t out_step;
	int64_t in_step;
	int64_t first; /* where the output slice starts along the axis */
	int64_t in_n;
	union {
		struct isa_lrn_params lrn;
		struct isa_cumsum_params cumsum;
	} p;
	struct op_tensor values; /* ONE_HOT: off, on */
};

/* The views with the axis cut to one element: their elements are the lines. */
static int line_run(struct op_ctx *ctx, struct line *l, uint32_t axis, op_row_fn fn)
{
	struct op_tensor out = ctx->t[0];
	struct op_tensor in = ctx->t[1];

	l->ctx = ctx;
	l->dtype = in.dtype;
	l->n = out.dims[axis];
	l->in_n = in.dims[axis];
	l->out_step = out.strides[axis] * (int64_t)out.esize;
	l->in_step = in.strides[axis] * (int64_t)in.esize;
	if (!l->n)
		return 0;
	out.dims[axis] = 1;
	in.dims[axis] = 1;
	int rc = iterate_rows(ctx, (const struct op_tensor *const[]){&out, &in}, 2, fn, l);
	return rc ? rc : record_cancelled(ctx) ? -ECANCELED : 0;
}

static void lrn_line(const struct line *l, uint8_t *out, const uint8_t *in)
{
	int64_t before = ((int64_t)l->p.lrn.size - 1) / 2;
	int64_t after = (int64_t)l->p.lrn.size - 1 - before;

	for (int64_t c = 0; c < l->n; c++) {
		int64_t at = c + l->first;
		int64_t from = at - before < 0 ? 0 : at - before;
		int64_t to = at + after + 1 > l->in_n ? l->in_n : at + after + 1;
		float sum = 0;
		for (int64_t k = from; k < to; k++) {
			float v = *(const float *)(const void *)(in + k * l->in_step);
			sum += v * v;
		}
		float x = *(const float *)(const void *)(in + at * l->in_step);
		*(float *)(void *)(out + c * l->out_step) =
		    x / powf(l->p.lrn.bias + l->p.lrn.alpha / (float)l->p.lrn.size * sum, l->p.lrn.beta);
	}
}

static void lrn_row(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct line *l = arg;

	for (int64_t i = 0; i < n && !record_cancelled(l->ctx); i++)
		lrn_line(l, p[0] + i * step[0], p[1] + i * step[1]);
}

int op_lrn(struct op_ctx *ctx)
{
	struct line l = {0};
	const struct op_tensor *t = ctx->t;

	int rc = record_operands(ctx, 2, 2);
	if (!rc)
		rc = record_params(ctx, &l.p.lrn, sizeof(l.p.lrn));
	if (rc)
		return rc;
	if (t[0].rank < 2 || !tensor_same_dims(&t[0], &t[1]) || !l.p.lrn.size)
		return -EINVAL;
	if (t[0].dtype != ZY_DATA_F32 || t[1].dtype != ZY_DATA_F32)
		return -EOPNOTSUPP;
	int64_t window = l.p.lrn.size < t[0].dims[1] ? l.p.lrn.size : t[0].dims[1];
	if (window && tensor_elements(&t[0]) > OP_MAX_WORK / window)
		return -EINVAL;
	if (ctx->empty)
		return 0;
	tensor_take(ctx, 0);
	if (ctx->split == 1)
		l.first = ctx->begin;
	else
		tensor_take(ctx, 1);
	record_charge(ctx, tensor_elements(&t[0]) * (window + 2));
	rc = tensor_map_all(ctx, 1);
	return rc ? rc : line_run(ctx, &l, 1, lrn_row);
}

static void cumsum_line(const struct line *l, uint8_t *out, const uint8_t *in)
{
	bool integer = type_is_integer(l->dtype);
	double sum = 0;
	uint64_t isum = 0;

	for (int64_t i = 0; i < l->n; i++) {
		int64_t at = l->p.cumsum.reverse ? l->n - 1 - i : i;
		const uint8_t *v = in + at * l->in_step;
		uint8_t *o = out + at * l->out_step;
		double before = sum;
		uint64_t ibefore = isum;
		if (integer)
			isum += (uint64_t)type_load_s64(v, l->dtype);
		else
			sum += type_load(v, l->dtype);
		if (integer)
			type_store_s64(o, l->dtype, (int64_t)(l->p.cumsum.exclusive ? ibefore : isum));
		else
			type_store(o, l->dtype, l->p.cumsum.exclusive ? before : sum);
	}
}

static void cumsum_row(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct line *l = arg;

	for (int64_t i = 0; i < n && !record_cancelled(l->ctx); i++)
		cumsum_line(l, p[0] + i * step[0], p[1] + i * step[1]);
}

int op_cumsum(struct op_ctx *ctx)
{
	struct line l = {0};
	const struct op_tensor *t = ctx->t;

	int rc = record_operands(ctx, 2, 2);
	if (!rc)
		rc = record_params(ctx, &l.p.cumsum, sizeof(l.p.cumsum));
	if (rc)
		return rc;
	uint32_t axis = l.p.cumsum.axis;
	if (axis >= t[0].rank || ctx->split == axis || !tensor_same_dims(&t[0], &t[1]) || t[0].dtype != t[1].dtype)
		return -EINVAL;
	if (t[0].dtype == ZY_DATA_BOOL)
		return -EOPNOTSUPP;
	if (ctx->empty)
		return 0;
	tensor_take(ctx, 0);
	tensor_take(ctx, 1);
	record_charge(ctx, tensor_elements(&t[0]));
	rc = tensor_map_all(ctx, 1);
	return rc ? rc : line_run(ctx, &l, axis, cumsum_row);
}

/* ------------------------------------------------------------------ ONE_HOT */

static void one_hot_row(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct line *l = arg;
	const uint8_t *on = l->values.data + l->values.strides[0] * (int64_t)l->values.esize;

	for (int64_t i = 0; i < n; i++) {
		int64_t v = type_load_s64(p[1] + i * step[1], l->dtype);
		if (v < 0 && v >= -l->in_n)
			v += l->in_n;
		if (v >= l->first && v < l->first + l->n)
			memcpy(p[0] + i * step[0] + (v - l->first) * l->out_step, on, l->values.esize);
	}
}

static int one_hot_check(const struct op_ctx *ctx, uint32_t axis)
{
	const struct op_tensor *t = ctx->t;

	if (ctx->count != 4 || !tensor_present(ctx, 1) || !tensor_present(ctx, 3) || axis >= t[0].rank ||
	    t[1].rank + 1 != t[0].rank || t[3].rank != 1 || t[3].dims[0] != 2 || t[3].dtype != t[0].dtype)
		return -EINVAL;
	for (uint32_t i = 0; i < t[1].rank; i++)
		if (t[1].dims[i] != t[0].dims[i < axis ? i : i + 1])
			return -EINVAL;
	return t[1].dtype == ZY_DATA_BOOL ? -EOPNOTSUPP : 0;
}

/* The indices spread to the output's rank: one element along the axis. */
static void one_hot_spread(struct op_tensor *indices, uint32_t axis)
{
	for (uint32_t i = indices->rank; i > axis; i--) {
		indices->dims[i] = indices->dims[i - 1];
		indices->strides[i] = indices->strides[i - 1];
	}
	indices->dims[axis] = 1;
	indices->strides[axis] = 0;
	indices->rank++;
}

int op_one_hot(struct op_ctx *ctx)
{
	struct isa_axis_params params;
	struct line l = {0};
	struct op_tensor *t = ctx->t;

	int rc = record_operands(ctx, 1, 4);
	if (!rc)
		rc = record_params(ctx, &params, sizeof(params));
	if (!rc)
		rc = one_hot_check(ctx, params.axis);
	if (rc || ctx->empty)
		return rc;
	int64_t depth = t[0].dims[params.axis];
	one_hot_spread(&t[1], params.axis);
	t[2].dtype = ZY_DATA_NONE; /* the output's dims are the depth */
	tensor_take(ctx, 0);
	if (ctx->split == params.axis)
		l.first = ctx->begin;
	else
		tensor_take(ctx, 1);
	record_charge(ctx, tensor_elements(&t[0]));
	rc = tensor_map_all(ctx, 1);
	if (!rc)
		rc = fill_view(ctx, &t[0], t[3].data);
	if (rc || !tensor_elements(&t[0]))
		return rc;
	struct op_tensor out = t[0];
	l.values = t[3];
	l.dtype = t[1].dtype;
	l.n = out.dims[params.axis];
	l.in_n = depth;
	l.out_step = out.strides[params.axis] * (int64_t)out.esize;
	out.dims[params.axis] = 1;
	return iterate_rows(ctx, (const struct op_tensor *const[]){&out, &t[1]}, 2, one_hot_row, &l);
}
