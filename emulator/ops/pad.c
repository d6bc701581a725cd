/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PAD. Every axis of the output is cut into runs that come from one place of the input (or from the constant); the
 * inside, one run, is a plain strided copy.
 */
#include <errno.h>

#include "emulator/ops/index.h"

struct pad {
	struct isa_pad_params params;
	int64_t begin[ISA_MAX_RANK]; /* leading padding, negative crops */
	int64_t first[ISA_MAX_RANK]; /* where the slice starts in the output */
	uint64_t value;
};

static int pad_check(struct op_ctx *ctx, struct pad *c)
{
	const struct op_tensor *t = ctx->t;

	int rc = record_operands(ctx, 2, 4);
	if (!rc)
		rc = record_params(ctx, &c->params, sizeof(c->params));
	if (rc)
		return rc;
	if (!c->params.mode || c->params.mode > ISA_PAD_EDGE || t[0].rank != t[1].rank || t[0].dtype != t[1].dtype)
		return -EINVAL;
	if (tensor_present(ctx, 2) &&
	    (t[2].dtype != ZY_DATA_S64 || t[2].rank != 1 || t[2].dims[0] != 2 * (int64_t)t[0].rank))
		return -EINVAL;
	if (tensor_present(ctx, 3) && (t[3].dtype != t[0].dtype || tensor_elements(&t[3]) != 1))
		return -EINVAL;
	return 0;
}

/* Paddings from the record or from memory; together with the input they must make the output's dims. */
static int pad_load(struct op_ctx *ctx, struct pad *c)
{
	const struct op_tensor *t = ctx->t;
	uint32_t rank = t[0].rank;

	for (uint32_t i = 2; i < 4; i++) {
		int rc = tensor_present(ctx, i) ? tensor_map(ctx, i, OP_READ) : 0;
		if (rc)
			return rc;
	}
	for (uint32_t i = 0; i < rank; i++) {
		int64_t end = c->params.pads[rank + i];
		c->begin[i] = c->params.pads[i];
		if (tensor_present(ctx, 2)) {
			const uint8_t *p = t[2].data + i * t[2].strides[0] * 8;
			const uint8_t *q = t[2].data + (i + rank) * t[2].strides[0] * 8;
			c->begin[i] = *(const volatile int64_t *)(const volatile void *)p;
			end = *(const volatile int64_t *)(const volatile void *)q;
		}
		if (c->begin[i] > UINT32_MAX || c->begin[i] < -(int64_t)UINT32_MAX || end > UINT32_MAX ||
		    end < -(int64_t)UINT32_MAX || t[1].dims[i] + c->begin[i] + end != t[0].dims[i])
			return -EINVAL;
		if (c->params.mode != ISA_PAD_CONSTANT && t[0].dims[i] && !t[1].dims[i])
			return -EINVAL;
	}
	c->value = 0;
	if (tensor_present(ctx, 3))
		memcpy(&c->value, t[3].data, t[3].esize);
	else
		memcpy(&c->value, c->params.value, sizeof(c->value));
	return 0;
}

/* The input index behind output index `at` of an axis of `dim` elements; -1 for the constant. */
static int64_t pad_source(uint32_t mode, int64_t at, int64_t dim)
{
	if (at >= 0 && at < dim)
		return at;
	if (mode == ISA_PAD_CONSTANT)
		return -1;
	if (mode == ISA_PAD_EDGE || dim == 1)
		return at < 0 ? 0 : dim - 1;
	int64_t period = 2 * (dim - 1);
	int64_t phase = at % period;
	phase = phase < 0 ? phase + period : phase;
	return phase < dim ? phase : period - phase;
}

/* How many output elements from `at` on come from one run of the input, and its direction (0: one element). */
static int64_t pad_run(const struct pad *c, int64_t at, int64_t left, int64_t dim, int64_t *step)
{
	*step = 1;
	if (at >= 0 && at < dim)
		return left < dim - at ? left : dim - at;
	*step = 0;
	if (c->params.mode == ISA_PAD_REFLECT && dim > 1)
		return 1;
	return at < 0 && -at < left ? -at : left;
}

/* Cuts axis after axis; below the last one the views are one copy or one fill. */
static int pad_axis(struct op_ctx *ctx, const struct pad *c, uint32_t axis, const struct op_tensor *out,
		    const struct op_tensor *in, bool constant)
{
	if (record_cancelled(ctx))
		return -ECANCELED;
	if (constant)
		return fill_view(ctx, out, &c->value);
	if (axis == out->rank)
		return copy_view(ctx, out, in);
	int64_t n = out->dims[axis];
	for (int64_t i = 0; i < n;) {
		int64_t at = i + c->first[axis] - c->begin[axis];
		int64_t step;
		int64_t run = pad_run(c, at, n - i, in->dims[axis], &step);
		int64_t source = pad_source(c->params.mode, at, in->dims[axis]);
		struct op_tensor o = *out;
		struct op_tensor s = *in;
		tensor_slice(&o, axis, i, run);
		if (source >= 0) {
			tensor_slice(&s, axis, source, run);
			s.strides[axis] *= step;
		}
		int rc = pad_axis(ctx, c, axis + 1, &o, &s, source < 0);
		if (rc)
			return rc;
		i += run;
	}
	return 0;
}

int op_pad(struct op_ctx *ctx)
{
	struct op_tensor *t = ctx->t;
	struct pad c;

	memset(&c, 0, sizeof(c));
	int rc = pad_check(ctx, &c);
	if (rc || ctx->empty)
		return rc;
	rc = pad_load(ctx, &c);
	if (rc)
		return rc;
	tensor_take(ctx, 0);
	if (ctx->split != ISA_SPLIT_NONE)
		c.first[ctx->split] = ctx->begin;
	record_charge(ctx, tensor_elements(&t[0]));
	rc = tensor_map(ctx, 0, OP_WRITE);
	if (!rc)
		rc = tensor_map(ctx, 1, OP_READ);
	if (rc || !tensor_elements(&t[0]))
		return rc;
	return pad_axis(ctx, &c, 0, &t[0], &t[1], false);
}
