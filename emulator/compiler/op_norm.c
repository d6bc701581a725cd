/* SPDX-License-Identifier: Apache-2.0 */
/* Normalisations and softmax, composed of reductions and elementwise steps where there is no instruction of their own.
 */
#include "emulator/compiler/operators.h"

#include <string.h>

/* A vector with one number per channel, shaped to broadcast over [N, C, ...]. */
static struct view per_channel(struct cc *cc, const struct view *v, const struct view *x)
{
	struct view out = *v;

	if (cc_failed(cc))
		return out;
	if (v->rank != 1 || x->rank < 2 || v->dims[0] != x->dims[1]) {
		cc_bad(cc, "a parameter that is not one number for each of %u channels", x->rank < 2 ? 0 : x->dims[1]);
		return out;
	}
	while (out.rank < x->rank - 1)
		out = view_insert(&out, out.rank);
	return emit_cast(cc, &out, x->dtype);
}

static struct view mean_of(struct cc *cc, const struct view *x, uint32_t mask, const struct view *center)
{
	struct view square = *x;

	if (!center)
		return emit_reduce(cc, ISA_R_MEAN, x, mask, true);
	square = emit_binary(cc, ISA_B_MUL, center, center);
	return emit_reduce(cc, ISA_R_MEAN, &square, mask, true);
}

/* 1 / sqrt(variance + epsilon) */
static struct view inverse_deviation(struct cc *cc, const struct view *variance, float epsilon)
{
	struct view eps = const_of(cc, variance->dtype, (double)epsilon);
	struct view v = emit_binary(cc, ISA_B_ADD, variance, &eps);

	v = emit_unary(cc, ISA_U_SQRT, 0, 0, &v);
	return emit_unary(cc, ISA_U_RECIPROCAL, 0, 0, &v);
}

/* y = x * scale / sqrt(var + eps) + (bias - mean * scale / sqrt(var + eps)): constants fold, convolutions absorb it. */
static struct view batch_norm(struct cc *cc, const struct node *n, const struct view *mean, const struct view *var)
{
	const struct view *x = node_in(n, 0);
	struct view scale = per_channel(cc, node_in(n, 1), x);
	struct view bias = per_channel(cc, node_in(n, 2), x);
	struct view factor = inverse_deviation(cc, var, attr_float(cc, n, "epsilon", 1e-5f));

	factor = emit_binary(cc, ISA_B_MUL, &scale, &factor);
	struct view shift = emit_binary(cc, ISA_B_MUL, mean, &factor);
	shift = emit_binary(cc, ISA_B_SUB, &bias, &shift);
	struct view out = emit_binary(cc, ISA_B_MUL, x, &factor);
	return emit_binary(cc, ISA_B_ADD, &out, &shift);
}

static void batch_norm_training(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	uint32_t mask = ((1u << x->rank) - 1) & ~2u;
	float momentum = attr_float(cc, n, "momentum", 0.9f);
	struct view keep = const_of(cc, x->dtype, (double)momentum);
	struct view take = const_of(cc, x->dtype, 1 - (double)momentum);
	struct view now[2];

	now[0] = mean_of(cc, x, mask, NULL);
	struct view center = emit_binary(cc, ISA_B_SUB, x, &now[0]);
	now[1] = mean_of(cc, x, mask, &center);
	struct view out = batch_norm(cc, n, &now[0], &now[1]);
	node_set(cc, n, 0, &out);
	for (uint32_t i = 0; i < 2; i++) {
		if (!node_has_out(n, 1 + i) || cc_failed(cc))
			continue;
		struct view old = per_channel(cc, node_in(n, 3 + i), x);
		old = emit_binary(cc, ISA_B_MUL, &old, &keep);
		struct view add = emit_binary(cc, ISA_B_MUL, &now[i], &take);
		old = emit_binary(cc, ISA_B_ADD, &old, &add);
		old = emit_reshape(cc, &old, 1, &x->dims[1]);
		node_set(cc, n, 1 + i, &old);
	}
}

static void lower_batch_norm(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);

	if (x->rank < 2) {
		cc_bad(cc, "an input of rank %u", x->rank);
	} else if (n->opset >= 14 && attr_int(cc, n, "training_mode", 0)) {
		batch_norm_training(cc, n);
	} else if (n->opset < 9 && !attr_int(cc, n, "spatial", 1)) {
		cc_unsupported(cc, "attribute \"spatial\" of 0");
	} else if (n->out_count > 1) {
		cc_unsupported(cc, "more than one output outside of training mode");
	} else {
		struct view mean = per_channel(cc, node_in(n, 3), x);
		struct view var = per_channel(cc, node_in(n, 4), x);
		struct view out = batch_norm(cc, n, &mean, &var);
		node_set(cc, n, 0, &out);
	}
}

static void lower_instance_norm(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	uint32_t mask = ((1u << x->rank) - 1) & ~3u;
	struct view scale = per_channel(cc, node_in(n, 1), x);
	struct view bias = per_channel(cc, node_in(n, 2), x);
	struct view mean = mean_of(cc, x, mask, NULL);
	struct view center = emit_binary(cc, ISA_B_SUB, x, &mean);
	struct view variance = mean_of(cc, x, mask, &center);
	struct view factor = inverse_deviation(cc, &variance, attr_float(cc, n, "epsilon", 1e-5f));

	factor = emit_binary(cc, ISA_B_MUL, &factor, &scale);
	struct view out = emit_binary(cc, ISA_B_MUL, &center, &factor);
	out = emit_binary(cc, ISA_B_ADD, &out, &bias);
	node_set(cc, n, 0, &out);
}

static void lower_layer_norm(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	uint32_t axis = axis_of(cc, attr_int(cc, n, "axis", -1), x->rank);
	uint32_t mask = ((1u << x->rank) - 1) & ~((1u << axis) - 1);
	struct view mean = mean_of(cc, x, mask, NULL);
	struct view center = emit_binary(cc, ISA_B_SUB, x, &mean);
	struct view variance = mean_of(cc, x, mask, &center);
	struct view inverse = inverse_deviation(cc, &variance, attr_float(cc, n, "epsilon", 1e-5f));
	struct view out = emit_binary(cc, ISA_B_MUL, &center, &inverse);

	out = emit_binary(cc, ISA_B_MUL, &out, node_in(n, 1));
	if (view_present(node_in(n, 2)))
		out = emit_binary(cc, ISA_B_ADD, &out, node_in(n, 2));
	if (!cc_failed(cc) && !view_same_dims(&out, x))
		cc_bad(cc, "scale or bias do not broadcast to the input");
	node_set(cc, n, 0, &out);
	node_set(cc, n, 1, &mean);
	node_set(cc, n, 2, &inverse);
}

static void lower_mvn(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	int64_t axes[ISA_MAX_RANK] = {0, 2, 3};
	uint32_t count = 0;
	uint32_t mask = 0;

	if (!attr_ints(cc, n, "axes", axes, ISA_MAX_RANK, &count))
		count = 3;
	for (uint32_t i = 0; i < count && !cc_failed(cc); i++)
		mask |= 1u << axis_of(cc, axes[i], x->rank);
	struct view mean = mean_of(cc, x, mask, NULL);
	struct view center = emit_binary(cc, ISA_B_SUB, x, &mean);
	struct view variance = mean_of(cc, x, mask, &center);
	struct view deviation = emit_unary(cc, ISA_U_SQRT, 0, 0, &variance);
	struct view eps = const_of(cc, x->dtype, 1e-9);
	deviation = emit_binary(cc, ISA_B_ADD, &deviation, &eps);
	struct view out = emit_binary(cc, ISA_B_DIV, &center, &deviation);
	node_set(cc, n, 0, &out);
}

static void lower_lp_norm(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	uint32_t axis = axis_of(cc, attr_int(cc, n, "axis", -1), x->rank);
	int64_t p = attr_int(cc, n, "p", 2);

	if (p != 1 && p != 2)
		cc_bad(cc, "attribute \"p\" is %lld", (long long)p);
	struct view norm = emit_reduce(cc, p == 1 ? ISA_R_L1 : ISA_R_L2, x, 1u << axis, true);
	struct view out = emit_binary(cc, ISA_B_DIV, x, &norm);
	node_set(cc, n, 0, &out);
}

static void lower_lrn(struct cc *cc, const struct node *n)
{
	struct view in = emit_plain(cc, node_in(n, 0));
	int64_t size = attr_int(cc, n, "size", 0);
	struct isa_lrn_params params = {.size = (uint32_t)size,
					.alpha = attr_float(cc, n, "alpha", 0.0001f),
					.beta = attr_float(cc, n, "beta", 0.75f),
					.bias = attr_float(cc, n, "bias", 1)};

	if (cc_failed(cc))
		return;
	if (size < 1 || size > INT32_MAX || in.rank < 3) {
		cc_bad(cc, "size %lld, an input of rank %u", (long long)size, in.rank);
		return;
	}
	struct view out = tensor_new(cc, in.dtype, in.rank, in.dims, &in, &in, 1);
	struct view ops[2] = {out, in};
	emit(cc, ISA_T_LRN, 1, ops, 2, &params, sizeof(params));
	node_set(cc, n, 0, &out);
}

/* Before operator set 13 the axes from `axis` on count as one. */
static void lower_softmax(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	uint32_t log = n->op[0] == 'S' ? 0 : n->op[0] == 'L' ? 1 : 2;
	int64_t raw = attr_int(cc, n, "axis", n->opset < 13 ? 1 : -1);
	struct view out = *x;

	if (n->opset >= 13 || (x->rank && (raw == -1 || raw == (int64_t)x->rank - 1))) {
		uint32_t axis = axis_of(cc, raw, x->rank);
		out = emit_softmax(cc, x, axis, log);
	} else {
		uint32_t dims[2] = {1, 1};
		if (raw < 0)
			raw += x->rank;
		if (raw < 0 || raw > x->rank)
			cc_bad(cc, "axis %lld of a tensor of rank %u", (long long)raw, x->rank);
		for (uint32_t i = 0; i < x->rank; i++)
			dims[i >= raw] *= x->dims[i];
		out = emit_reshape(cc, x, 2, dims);
		out = emit_softmax(cc, &out, 1, log);
		out = emit_reshape(cc, &out, x->rank, x->dims);
	}
	node_set(cc, n, 0, &out);
}

const struct operator_row operators_norm[] = {
    {"BatchNormalization", lower_batch_norm, 5, 5, 5, "epsilon momentum spatial is_test training_mode consumed_inputs"},
    {"InstanceNormalization", lower_instance_norm, 3, 3, 1, "epsilon consumed_inputs"},
    {"LayerNormalization", lower_layer_norm, 2, 3, 3, "axis epsilon stash_type"},
    {"MeanVarianceNormalization", lower_mvn, 1, 1, 1, "axes"},
    {"LpNormalization", lower_lp_norm, 1, 1, 1, "axis p"},
    {"LRN", lower_lrn, 1, 1, 1, "alpha beta bias size"},
    {"Softmax", lower_softmax, 1, 1, 1, "axis"},
    {"LogSoftmax", lower_softmax, 1, 1, 1, "axis"},
    {"Hardmax", lower_softmax, 1, 1, 1, "axis"},
    {0},
};
