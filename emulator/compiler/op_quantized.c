/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantised operators. The device computes in float32, which is exact for products and sums of 8-bit numbers below
 * 2^24; larger sums are refused.
 */
#include "emulator/compiler/operators.h"
#include "emulator/compiler/window.h"

#define EXACT_PRODUCTS 256u /* 256 * 255 * 255 < 2^24 */

/* A scale or zero point: a scalar, or a vector along `axis`, shaped to broadcast over a tensor of rank `rank`. */
static struct view along_axis(struct cc *cc, const struct view *v, uint32_t rank, uint32_t axis)
{
	struct view out = *v;

	if (cc_failed(cc) || v->rank == 0)
		return out;
	if (v->rank != 1) {
		cc_unsupported(cc, "a scale or zero point of rank %u", v->rank);
		return out;
	}
	if (v->dims[0] == 1)
		return view_remove(&out, 0);
	for (uint32_t i = axis + 1; i < rank; i++)
		out = view_insert(&out, out.rank);
	return out;
}

/* x - zero point, as float32 */
static struct view centered(struct cc *cc, const struct view *x, const struct view *zero, uint32_t axis)
{
	struct view out = emit_cast(cc, x, ZY_DATA_F32);

	if (!view_present(zero) || cc_failed(cc))
		return out;
	struct view z = along_axis(cc, zero, x->rank, axis);
	z = emit_cast(cc, &z, ZY_DATA_F32);
	return emit_binary(cc, ISA_B_SUB, &out, &z);
}

/* round(x) + zero point, saturated to u8 or s8 */
static struct view requantized(struct cc *cc, const struct view *x, const struct view *zero, uint32_t axis,
			       uint32_t dtype)
{
	struct view out = emit_unary(cc, ISA_U_ROUND, 0, 0, x);

	if (dtype != ZY_DATA_U8 && dtype != ZY_DATA_S8)
		cc_unsupported(cc, "quantised type %s", cc_type_name(dtype));
	if (view_present(zero)) {
		struct view z = along_axis(cc, zero, x->rank, axis);
		z = emit_cast(cc, &z, ZY_DATA_F32);
		out = emit_binary(cc, ISA_B_ADD, &out, &z);
	}
	out = emit_unary(cc, ISA_U_CLIP, dtype == ZY_DATA_U8 ? 0 : -128, dtype == ZY_DATA_U8 ? 255 : 127, &out);
	return emit_cast(cc, &out, dtype);
}

static void lower_quantize(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	const struct view *zero = node_in(n, 2);
	uint32_t axis = node_in(n, 1)->rank ? axis_of(cc, attr_int(cc, n, "axis", 1), x->rank) : 0;
	struct view scale = along_axis(cc, node_in(n, 1), x->rank, axis);
	struct view wide = emit_cast(cc, x, ZY_DATA_F32);

	wide = emit_binary(cc, ISA_B_DIV, &wide, &scale);
	struct view out = requantized(cc, &wide, zero, axis, view_present(zero) ? zero->dtype : ZY_DATA_U8);
	node_set(cc, n, 0, &out);
}

static void lower_dequantize(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	uint32_t axis = node_in(n, 1)->rank ? axis_of(cc, attr_int(cc, n, "axis", 1), x->rank) : 0;
	struct view scale = along_axis(cc, node_in(n, 1), x->rank, axis);
	struct view out = centered(cc, x, node_in(n, 2), axis);

	out = emit_binary(cc, ISA_B_MUL, &out, &scale);
	node_set(cc, n, 0, &out);
}

static void lower_dynamic_quantize(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	uint32_t all = (1u << x->rank) - 1;
	struct view zero = const_f32(cc, 0);
	struct view levels = const_f32(cc, 255);
	struct view low = emit_reduce(cc, ISA_R_MIN, x, all, false);
	struct view high = emit_reduce(cc, ISA_R_MAX, x, all, false);

	low = emit_binary(cc, ISA_B_MIN, &low, &zero);
	high = emit_binary(cc, ISA_B_MAX, &high, &zero);
	struct view scale = emit_binary(cc, ISA_B_SUB, &high, &low);
	scale = emit_binary(cc, ISA_B_DIV, &scale, &levels);
	struct view point = emit_binary(cc, ISA_B_SUB, &zero, &low);
	point = emit_binary(cc, ISA_B_DIV, &point, &scale);
	point = emit_unary(cc, ISA_U_CLIP, 0, 255, &point);
	point = emit_unary(cc, ISA_U_ROUND, 0, 0, &point);
	point = emit_cast(cc, &point, ZY_DATA_U8);
	struct view y = emit_binary(cc, ISA_B_DIV, x, &scale);
	y = requantized(cc, &y, &point, 0, ZY_DATA_U8);
	node_set(cc, n, 0, &y);
	node_set(cc, n, 1, &scale);
	node_set(cc, n, 2, &point);
}

static void check_exact(struct cc *cc, uint64_t products)
{
	if (products > EXACT_PRODUCTS)
		cc_unsupported(cc, "sums of %llu products: at most %u are exact", (unsigned long long)products,
			       EXACT_PRODUCTS);
}

static uint64_t conv_products(const struct view *w)
{
	return w->rank > 1 ? dims_elements(w->rank - 1, &w->dims[1]) : UINT64_MAX;
}

static void lower_conv_integer(struct cc *cc, const struct node *n)
{
	static const struct view no_bias;
	struct view x = centered(cc, node_in(n, 0), node_in(n, 2), 0);
	struct view w = centered(cc, node_in(n, 1), node_in(n, 3), 0);

	check_exact(cc, conv_products(&w));
	struct view out = conv_by_node(cc, n, &x, &w, &no_bias);
	out = emit_cast(cc, &out, ZY_DATA_S32);
	node_set(cc, n, 0, &out);
}

static struct view product(struct cc *cc, const struct view *a, const struct view *b)
{
	if (cc_failed(cc))
		return *a;
	if (a->rank < 2 || b->rank < 2) {
		cc_unsupported(cc, "a product of ranks %u and %u", a->rank, b->rank);
		return *a;
	}
	check_exact(cc, a->dims[a->rank - 1]);
	return emit_matmul(cc, a, b, NULL, 1, 0);
}

static void lower_matmul_integer(struct cc *cc, const struct node *n)
{
	const struct view *zero_a = node_in(n, 2);
	uint32_t rank = node_in(n, 0)->rank;
	struct view a = centered(cc, node_in(n, 0), zero_a, rank > 1 ? rank - 2 : 0);
	struct view b = centered(cc, node_in(n, 1), node_in(n, 3), node_in(n, 1)->rank ? node_in(n, 1)->rank - 1 : 0);
	struct view out = product(cc, &a, &b);

	out = emit_cast(cc, &out, ZY_DATA_S32);
	node_set(cc, n, 0, &out);
}

/* scale_a * scale_b / scale_y; vectors lie along `axis` of the result. */
static struct view rescale(struct cc *cc, const struct view *acc, const struct view *a, const struct view *b,
			   const struct view *y, uint32_t axis)
{
	struct view factor = along_axis(cc, b, acc->rank, axis);
	struct view first = along_axis(cc, a, acc->rank, axis);
	struct view last = along_axis(cc, y, acc->rank, axis);

	factor = emit_binary(cc, ISA_B_MUL, &first, &factor);
	factor = emit_binary(cc, ISA_B_DIV, &factor, &last);
	return emit_binary(cc, ISA_B_MUL, acc, &factor);
}

static void lower_qlinear_conv(struct cc *cc, const struct node *n)
{
	static const struct view no_bias;
	struct view x = centered(cc, node_in(n, 0), node_in(n, 2), 1);
	struct view w = centered(cc, node_in(n, 3), node_in(n, 5), 0);

	check_exact(cc, conv_products(&w));
	struct view out = conv_by_node(cc, n, &x, &w, &no_bias);
	if (view_present(node_in(n, 8))) {
		struct view bias = along_axis(cc, node_in(n, 8), out.rank, 1);
		bias = emit_cast(cc, &bias, ZY_DATA_F32);
		out = emit_binary(cc, ISA_B_ADD, &out, &bias);
	}
	out = rescale(cc, &out, node_in(n, 1), node_in(n, 4), node_in(n, 6), 1);
	out = requantized(cc, &out, node_in(n, 7), 1, node_in(n, 7)->dtype);
	node_set(cc, n, 0, &out);
}

static void lower_qlinear_matmul(struct cc *cc, const struct node *n)
{
	uint32_t rank_a = node_in(n, 0)->rank;
	uint32_t rank_b = node_in(n, 3)->rank;
	struct view a = centered(cc, node_in(n, 0), node_in(n, 2), rank_a > 1 ? rank_a - 2 : 0);
	struct view b = centered(cc, node_in(n, 3), node_in(n, 5), rank_b ? rank_b - 1 : 0);
	struct view out = product(cc, &a, &b);

	if (cc_failed(cc))
		return;
	if (view_elements(node_in(n, 1)) != 1 || view_elements(node_in(n, 6)) != 1)
		cc_unsupported(cc, "a scale for each row");
	out = rescale(cc, &out, node_in(n, 1), node_in(n, 4), node_in(n, 6), out.rank - 1);
	out = requantized(cc, &out, node_in(n, 7), out.rank - 1, node_in(n, 7)->dtype);
	node_set(cc, n, 0, &out);
}

#define WINDOW_ATTRIBUTES "auto_pad dilations group kernel_shape pads strides"

const struct operator_row operators_quantized[] = {
    {"QuantizeLinear", lower_quantize, 2, 3, 1, "axis"},
    {"DequantizeLinear", lower_dequantize, 2, 3, 1, "axis"},
    {"DynamicQuantizeLinear", lower_dynamic_quantize, 1, 1, 3, ""},
    {"ConvInteger", lower_conv_integer, 2, 4, 1, WINDOW_ATTRIBUTES},
    {"MatMulInteger", lower_matmul_integer, 2, 4, 1, ""},
    {"QLinearConv", lower_qlinear_conv, 8, 9, 1, WINDOW_ATTRIBUTES},
    {"QLinearMatMul", lower_qlinear_matmul, 8, 8, 1, ""},
    {0},
};
