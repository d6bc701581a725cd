/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONV and CONV_TRANSPOSE: checks the record, cuts out the task's slice and hands it to the library or to our loops.
 */
#include <errno.h>

#include "emulator/ops/conv.h"

static int conv_params(const struct op_ctx *ctx, struct conv *c)
{
	struct isa_conv_params *p = &c->params;

	int rc = record_params(ctx, p, sizeof(*p));
	if (rc)
		return rc;
	if (!p->spatial || p->spatial > ISA_MAX_SPATIAL || !p->group || !activation_known(p->activation.fn))
		return -EINVAL;
	for (uint32_t i = 0; i < 3; i++) {
		c->stride[i] = 1;
		c->dilation[i] = 1;
		c->pad[i] = 0;
	}
	for (uint32_t i = 0; i < p->spatial; i++) {
		uint32_t at = i + 3 - p->spatial;
		if (!p->stride[i] || !p->dilation[i] || p->stride[i] > CONV_MAX_STEP ||
		    p->dilation[i] > CONV_MAX_STEP || p->pad_begin[i] > CONV_MAX_STEP)
			return -EINVAL;
		c->stride[at] = p->stride[i];
		c->dilation[at] = p->dilation[i];
		c->pad[at] = p->pad_begin[i];
	}
	return 0;
}

static int conv_shapes(const struct op_ctx *ctx, struct conv *c)
{
	const struct op_tensor *t = ctx->t;
	const uint32_t rank = c->params.spatial + 2;
	const int64_t group = c->params.group;

	for (uint32_t i = 0; i < ctx->count; i++)
		if (tensor_present(ctx, i) && t[i].dtype != ZY_DATA_F32)
			return -EOPNOTSUPP;
	if (t[0].rank != rank || t[1].rank != rank || t[2].rank != rank || t[0].dims[0] != t[1].dims[0])
		return -EINVAL;
	/* CONV weights are M, C/group; CONV_TRANSPOSE weights C, M/group. */
	int64_t in_channels = c->transpose ? t[2].dims[0] : t[2].dims[1] * group;
	int64_t out_channels = c->transpose ? t[2].dims[1] * group : t[2].dims[0];
	if (t[1].dims[1] != in_channels || t[0].dims[1] != out_channels || in_channels % group ||
	    out_channels % group || !in_channels || !out_channels)
		return -EINVAL;
	if (c->has_bias && (t[3].rank != 1 || t[3].dims[0] != out_channels))
		return -EINVAL;
	if (c->has_addend && !tensor_same_dims(&t[0], &t[4]))
		return -EINVAL;
	c->group = group;
	c->in_per_group = in_channels / group;
	c->out_per_group = out_channels / group;
	return 0;
}

static int64_t clamp(int64_t v, int64_t high)
{
	return v < 0 ? 0 : v > high ? high : v;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Output indices [begin, end) of spatial axis `axis` read input indices [first, last). */
static void crop_input(struct conv *c, uint32_t axis, int64_t begin, int64_t end)
{
	int64_t in = c->in.dims[2 + axis];
	int64_t reach = (c->weight.dims[2 + axis] - 1) * c->dilation[axis];
	int64_t stride = c->stride[axis];
	int64_t first;
	int64_t last;

	if (c->transpose) {
		first = clamp(floor_divide(begin + c->pad[axis] - reach + stride - 1, stride), in);
		last = clamp(floor_divide(end - 1 + c->pad[axis], stride) + 1, in);
		c->pad[axis] += begin - first * stride;
	} else {
		first = clamp(begin * stride - c->pad[axis], in);
		last = clamp((end - 1) * stride - c->pad[axis] + reach + 1, in);
		c->pad[axis] += first - begin * stride;
	}
	tensor_slice(&c->in, 2 + axis, first, last > first ? last - first : 0);
}

/* Output channels [begin, end): whole groups where possible, else a piece of one or several. */
static void cut_channels(struct conv *c, int64_t begin, int64_t end)
{
	int64_t first = begin / c->out_per_group;
	int64_t last = (end - 1) / c->out_per_group + 1;

	c->out_first = begin - first * c->out_per_group;
	tensor_slice(&c->in, 1, first * c->in_per_group, (last - first) * c->in_per_group);
	c->group = last - first;
	if (c->transpose)
		tensor_slice(&c->weight, 0, first * c->in_per_group, (last - first) * c->in_per_group);
	else
		tensor_slice(&c->weight, 0, begin, end - begin);
	if (c->has_bias)
		tensor_slice(&c->bias, 0, begin, end - begin);
	if (c->group == 1 && c->transpose) {
		tensor_slice(&c->weight, 1, c->out_first, end - begin);
		c->out_first = 0;
		c->out_per_group = end - begin;
	} else if (c->group == 1) {
		c->out_first = 0;
		c->out_per_group = end - begin;
	}
}

static void conv_slice(const struct op_ctx *ctx, struct conv *c)
{
	int64_t count = ctx->end - ctx->begin;

	if (ctx->split == ISA_SPLIT_NONE)
		return;
	uint32_t axis = ctx->split < 2 ? ctx->split : ctx->split + 3 - c->params.spatial;
	tensor_slice(&c->out, axis, ctx->begin, count);
	if (c->has_addend)
		tensor_slice(&c->addend, axis, ctx->begin, count);
	if (axis == 0)
		tensor_slice(&c->in, 0, ctx->begin, count);
	else if (axis == 1)
		cut_channels(c, ctx->begin, ctx->end);
	else
		crop_input(c, axis - 2, ctx->begin, ctx->end);
}

static int conv_work(struct conv *c)
{
	const struct op_tensor *spatial = c->transpose ? &c->in : &c->out;
	__int128 macs = c->out.dims[0] * (__int128)c->out.dims[1] * c->in_per_group;

	for (uint32_t i = 2; i < CONV_RANK; i++)
		macs = macs * spatial->dims[i] * c->weight.dims[i];
	__int128 steps = (__int128)tensor_elements(&c->out) * c->in_per_group;
	for (uint32_t i = 2; i < CONV_RANK; i++)
		steps *= c->weight.dims[i];
	if (macs > OP_MAX_WORK || steps > OP_MAX_WORK)
		return -EINVAL;
	c->macs = (int64_t)macs;
	return 0;
}

static int map_one(struct op_ctx *ctx, uint32_t index, struct op_tensor *t, enum op_access access)
{
	struct op_tensor *slot = &ctx->t[index];

	/* The context's operand becomes the sliced view, so that record_close() finds the span. */
	*slot = *t;
	int rc = tensor_map(ctx, index, access);
	t->data = slot->data;
	return rc;
}

static int conv_map(struct op_ctx *ctx, struct conv *c)
{
	int rc = map_one(ctx, 0, &c->out, OP_WRITE);

	if (!rc)
		rc = map_one(ctx, 1, &c->in, OP_READ);
	if (!rc)
		rc = map_one(ctx, 2, &c->weight, OP_READ);
	if (!rc && c->has_bias)
		rc = map_one(ctx, 3, &c->bias, OP_READ);
	if (!rc && c->has_addend)
		rc = map_one(ctx, 4, &c->addend, OP_READ);
	return rc;
}

int conv_open(struct op_ctx *ctx, struct conv *c)
{
	memset(c, 0, sizeof(*c));
	c->transpose = ctx->op == ISA_T_CONV_TRANSPOSE;
	int rc = record_operands(ctx, 3, c->transpose ? 4 : 5);
	if (rc)
		return rc;
	c->has_bias = tensor_present(ctx, 3);
	c->has_addend = tensor_present(ctx, 4);
	rc = conv_params(ctx, c);
	if (!rc)
		rc = conv_shapes(ctx, c);
	if (rc)
		return rc;
	c->out = tensor_widen(&ctx->t[0]);
	c->in = tensor_widen(&ctx->t[1]);
	c->weight = tensor_widen(&ctx->t[2]);
	if (c->has_bias)
		c->bias = ctx->t[3];
	if (c->has_addend)
		c->addend = tensor_widen(&ctx->t[4]);
	rc = conv_work(c);
	if (rc || ctx->empty)
		return rc;
	conv_slice(ctx, c);
	rc = conv_work(c);
	if (rc)
		return rc;
	record_charge_macs(ctx, c->macs);
	return conv_map(ctx, c);
}

static int conv_run(struct op_ctx *ctx, const struct conv *c)
{
	int rc = conv_fast(ctx, c);

	return rc > 0 ? conv_loops(ctx, c) : rc;
}

/* A long convolution goes in pieces of images or rows, so that it can be given up in between. */
static int conv_pieces(struct op_ctx *ctx, const struct conv *c)
{
	uint32_t axis = c->out.dims[0] > 1 ? 0 : 2;

	while (axis >= 2 && axis < 4 && c->out.dims[axis] == 1)
		axis++;
	int64_t n = c->out.dims[axis];
	int64_t pieces = c->macs / OP_UNINTERRUPTED_MACS + 1;
	pieces = pieces < n ? pieces : n;
	if (pieces <= 1)
		return conv_run(ctx, c);
	for (int64_t i = 0; i < pieces; i++) {
		struct conv part = *c;
		int64_t begin = n * i / pieces;
		int64_t end = n * (i + 1) / pieces;
		if (record_cancelled(ctx))
			return -ECANCELED;
		tensor_slice(&part.out, axis, begin, end - begin);
		if (c->has_addend)
			tensor_slice(&part.addend, axis, begin, end - begin);
		if (axis == 0)
			tensor_slice(&part.in, 0, begin, end - begin);
		else
			crop_input(&part, axis - 2, begin, end);
		int rc = conv_run(ctx, &part);
		if (rc)
			return rc;
	}
	return 0;
}

int op_conv(struct op_ctx *ctx)
{
	struct conv c;

	int rc = conv_open(ctx, &c);
	if (rc || ctx->empty || !tensor_elements(&c.out))
		return rc;
	return conv_pieces(ctx, &c);
}

int op_conv_transpose(struct op_ctx *ctx)
{
	return op_conv(ctx);
}
